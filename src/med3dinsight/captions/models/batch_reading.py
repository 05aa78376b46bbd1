"""Answer files of batches become answers in the ledger: once, however often and in whatever order they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from ...errors import FatalError, InputError, Med3DInsightError
from ...workspace.answer_ledger import AnswerLedger, Paid
from ..asking.budget import Budget
from ..asking.chat import ChatReply, RefusedError
from ..asking.jobs import Description, Job
from ..asking.reading import REFUSED, judge
from .batch_ids import BatchIds, BatchRequest
from .batch_lines import BatchLine, read_line

_CHUNK = 256


@dataclass
class BatchRead:
    """What was in answer files.

    Attributes:
        answered, quarantined, refused: Questions that ended so.
        again: Questions that the next request file asks again: expired, failed, or not readable.
        skipped: Lines of no open question: read before, of another workspace, or cut.
        problems: How often each reason was given.
    """

    answered: int = 0
    quarantined: int = 0
    refused: int = 0
    again: int = 0
    skipped: int = 0
    problems: Counter[str] = field(default_factory=Counter)


def read_batch(
    files: Sequence[Path],
    ledger: AnswerLedger,
    folder: Path,
    *,
    parse: Callable[[str], Description],
    budget: Budget,
    same_again: bool = False,
) -> BatchRead:
    """Reads output and error files of batches into the answer ledger; reading a file again changes nothing.

    Args:
        files: As downloaded, in any order.
        ledger: Of answers.
        folder: Where the request files were written.
        parse: Reads an answer.
        budget: Knows the price.
        same_again: Whether questions were asked at temperature 0: an answer that was cut is not asked for again.

    Raises:
        InputError: A file cannot be read.
        FatalError: All that was ever asked by some settings was refused; no slice is marked as refused, and the
            questions wait no more.
    """
    read = BatchRead()
    refused: list[tuple[BatchRequest, str]] = []
    with BatchIds(folder) as ids:
        lines = _lines(files)
        while chunk := list(islice(lines, _CHUNK)):
            waits: list[Future[None]] = []
            done: dict[str, BatchRequest] = {}
            for line in chunk:
                request = ids.find(line.custom_id) if line.custom_id else None
                if request is None or request.custom_id in done:
                    read.skipped += 1
                elif isinstance(line.result, RefusedError):
                    refused.append((request, line.result.message))
                else:
                    waits += _settle(line.result, request, ids, ledger, parse, budget, read, same_again)
                    done[request.custom_id] = request
            for wait in waits:
                wait.result()
            ids.prove({one.file for one in done.values() if _is_answered(ledger, one.key)})
            ids.close_requests(done.values())
        _refuse(refused, ids, ledger, read)
    return read


def _settle(
    result: ChatReply | Med3DInsightError,
    request: BatchRequest,
    ids: BatchIds,
    ledger: AnswerLedger,
    parse: Callable[[str], Description],
    budget: Budget,
    read: BatchRead,
    same_again: bool,
) -> list[Future[None]]:
    replies = ledger.num_attempts(request.key)
    if replies > request.attempts:  # settled before a kill, which came before the id was closed
        read.skipped += 1
        return []
    if not isinstance(result, ChatReply):
        read.again += 1
        read.problems[result.message] += 1
        return [ledger.release(request.reservation)]
    job = Job("", "", dict, request.plane, request.modality)
    answer = judge(result, job, parse, replies=replies + 1, same_again=same_again)
    if answer is None:
        read.again += 1
        read.problems["the answer cannot be read"] += 1
    else:
        setattr(read, answer.status, getattr(read, answer.status) + 1)
    cost = budget.cost(result, request.most)
    paid = Paid(result.content, result.model, result.prompt_tokens, result.completion_tokens, cost)
    return [ledger.settle(request.reservation, request.key, paid, answer, ids.prints(request.key))]


def _is_answered(ledger: AnswerLedger, key: str) -> bool:
    answer = ledger.answer(key)
    return answer is not None and answer.status == "answered"


def _refuse(refused: list[tuple[BatchRequest, str]], ids: BatchIds, ledger: AnswerLedger, read: BatchRead) -> None:
    """Believes refusals where the same settings were answered: else they are at fault, not the slice."""
    proven = {file: ids.is_proven(file) for file in {request.file for request, _ in refused}}
    waits = []
    for request, message in refused:
        if proven[request.file]:
            paid, prints = Paid(message), ids.prints(request.key)
            waits.append(ledger.settle(request.reservation, request.key, paid, REFUSED, prints))
            read.refused += 1
            read.problems[message] += 1
        else:
            waits.append(ledger.release(request.reservation))
    for wait in waits:
        wait.result()
    ids.close_requests(request for request, _ in refused)
    doubtful = [message for request, message in refused if not proven[request.file]]
    if doubtful:
        raise FatalError(
            f"the batch was refused as a whole: {doubtful[0]}",
            "check the model and the settings; no slice was marked as refused: the next files ask about them anew",
        )


def _lines(files: Sequence[Path]) -> Iterator[BatchLine]:
    for path in files:
        try:
            with path.open("rb") as file:
                yield from (read_line(line) for line in file if line.strip())
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}", "give the file as it was downloaded") from None
