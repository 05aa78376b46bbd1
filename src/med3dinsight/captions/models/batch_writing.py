"""Slices become request files, to be uploaded as batches elsewhere; nothing is sent from here.

A question is in one file at a time until its answer is read, so nothing is paid twice; the answer ledger knows that it
waits, so that it is asked nowhere else either. What it can cost is reserved there when it is written: a budget holds
over batches too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

from ...workspace.answer_ledger import AnswerLedger
from ...workspace.files import replacing
from ..asking.budget import Budget
from ..asking.jobs import Job
from ..asking.requests import key_of
from .batch_ids import BatchIds, BatchRequest, new_id
from .batch_lines import request_line
from .batch_recovery import recover

#: What services take in one file, the bytes with some room.
MOST_REQUESTS, MOST_BYTES = 50_000, 190_000_000
_CHUNK = 256


@dataclass
class BatchWritten:
    """What became of the slices when request files were written.

    Attributes:
        files: To upload, each as a batch of its own.
        requests: How many questions are in them.
        known: Slices that are answered already.
        waiting: Slices whose question is in a file: in one of these, or in an earlier one not yet answered.
        elsewhere: Slices whose question waits in the files of other folders, by the folder's name.
        left: Slices that the budget leaves out.
    """

    files: list[Path] = field(default_factory=list)
    requests: int = 0
    known: int = 0
    waiting: int = 0
    elsewhere: Counter[str] = field(default_factory=Counter)
    left: int = 0


def write_batch(
    jobs: Iterable[Job],
    ledger: AnswerLedger,
    folder: Path,
    *,
    budget: Budget,
    settings: str = "",
    log: Callable[[str, int], None] | None = None,
    most_requests: int = MOST_REQUESTS,
    most_bytes: int = MOST_BYTES,
) -> BatchWritten:
    """Writes request files for all slices that are neither answered nor waiting; memory does not grow with them.

    Args:
        jobs: The slices.
        ledger: Of answers.
        folder: For the files.
        budget: Whatever it cannot take is left out.
        settings: Name of all that the questions share: model, prompt, parameters.
        log: Told key and bytes of each question before it is written.
        most_requests: Of one file.
        most_bytes: Of one file.

    Raises:
        DiskFullError: No room; files that are whole stay.
        WorkspaceError: The folder cannot be written to, or a newer version wrote it.
    """
    with BatchIds(folder) as ids:
        recover(ids, ledger, folder)
        return _Writing(ids, ledger, folder, budget, settings, log, (most_requests, most_bytes)).write(jobs)


@dataclass(frozen=True)
class _Question:
    job: Job
    key: str
    custom_id: str
    line: bytes
    most: int


class _Writing:
    def __init__(
        self,
        ids: BatchIds,
        ledger: AnswerLedger,
        folder: Path,
        budget: Budget,
        settings: str,
        log: Callable[[str, int], None] | None,
        limits: tuple[int, int],
    ) -> None:
        self._ids, self._ledger, self._folder, self._budget = ids, ledger, folder, budget
        self._most_requests, self._most_bytes = limits
        self._written = BatchWritten()
        self._held: _Question | None = None
        self._log, self._settings = log, settings

    def write(self, jobs: Iterable[Job]) -> BatchWritten:
        questions = self._new(jobs)
        while (first := self._held or next(questions, None)) is not None:
            self._held = None
            name = self._ids.next_file(self._settings)
            with replacing(self._folder / name) as temporary, temporary.open("wb") as file:
                self._fill(file, name, first, questions)
            self._ids.publish(name)
            self._written.files.append(self._folder / name)
        self._ids.keep()
        return self._written

    def _new(self, jobs: Iterable[Job]) -> Iterator[_Question]:
        for chunk in _chunks(jobs):
            prints = [job.fingerprint for job in chunk]
            found, waiting = self._ledger.find(prints), self._ledger.waiting(prints)
            for job in chunk:
                if job.fingerprint in found:
                    self._written.known += 1
                elif self._ids.waits(job.fingerprint):
                    self._written.waiting += 1
                elif place := waiting.get(job.fingerprint, ""):
                    self._written.elsewhere[place] += 1
                elif (question := self._question(job)) is not None:
                    yield question

    def _question(self, job: Job) -> _Question | None:
        body = job.body()
        key, most = key_of(body), self._budget.most(body)
        if self._ledger.answer(key) is not None:
            self._ledger.index([job.fingerprint], key).result()
            self._written.known += 1
        elif self._ids.is_open(key):
            self._ids.add_print(job.fingerprint, key)
            self._ledger.index([job.fingerprint], key)
            self._written.waiting += 1
        elif place := self._ledger.waits_in(key):
            self._ledger.index([job.fingerprint], key)
            self._written.elsewhere[place] += 1
        elif not self._budget.take(most):
            self._written.left += 1
        else:
            custom_id = new_id()
            return _Question(job, key, custom_id, request_line(custom_id, body), most)
        return None

    def _fill(self, file: IO[bytes], name: str, first: _Question, questions: Iterator[_Question]) -> None:
        """Writes questions until the file is full; the one that does not fit any more is held for the next file."""
        count = size = 0
        drafts: list[_Question] = []
        question: _Question | None = first
        while question is not None:
            if count and (count >= self._most_requests or size + len(question.line) > self._most_bytes):
                self._held = question
                break
            attempts, job = self._ledger.num_attempts(question.key), question.job
            request = BatchRequest(
                question.custom_id, question.key, name, 0, question.most, attempts, job.plane, job.modality
            )
            self._ids.add_draft(request, job.fingerprint)
            drafts.append(question)
            if self._log is not None:
                self._log(question.key, len(question.line))
            file.write(question.line)
            count, size = count + 1, size + len(question.line)
            self._written.requests += 1
            self._written.waiting += 1
            if len(drafts) == _CHUNK:
                self._reserve(drafts)
            question = next(questions, None)
        self._reserve(drafts)

    def _reserve(self, drafts: list[_Question]) -> None:
        """Reserves what drafts can cost. They are durable before: a kill leaves no reservation that nobody knows."""
        self._ids.keep()
        numbers = [
            self._ledger.reserve(
                draft.key, draft.most, place=self._folder.name, fingerprints=self._ids.prints(draft.key)
            )
            for draft in drafts
        ]
        self._ids.keep([(draft.custom_id, number.result()) for draft, number in zip(drafts, numbers, strict=True)])
        drafts.clear()


def _chunks(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    iterator = iter(jobs)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
