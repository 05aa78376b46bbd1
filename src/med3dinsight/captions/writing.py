"""Gives the slices that have no text one, by whatever way the captioner has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..engines import usable_cores
from ..records import Case, SliceRef
from ..types import Progress
from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore, Written
from ..workspace.voxel_store import VoxelStore
from .config import CaptionConfig
from .describing import Describer, describe_slices, in_chunks
from .importing import texts_to_import
from .labelled import without_labels
from .outdated import Outdated
from .reports import ReportDealer, reports_of
from .texts import deal_texts
from .untrusted import untrusted

if TYPE_CHECKING:
    from .settled import Chatting


@dataclass(frozen=True)
class Effort:
    """What it took beside this machine's time.

    Attributes:
        requests_sent: Questions of this run to a chat model.
        cost_usd: What their answers cost, as far as prices are known.
        stopped: "budget" or "files" where that ended it, else "".
        files: Request files to upload.
        waiting: How many slices wait for answers to request files, by the name that these are kept under.
        in_doubt_usd: What may have been paid for questions that no answer comes to.
    """

    requests_sent: int = 0
    cost_usd: float = 0.0
    stopped: str = ""
    files: tuple[str, ...] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    in_doubt_usd: float = 0.0


def write_texts(
    config: CaptionConfig,
    workspace: Workspace,
    ledger: CaptionStore,
    store: VoxelStore,
    chatting: Chatting | None,
    outdated: Outdated,
    progress: Progress,
) -> Effort:
    """Deals with the slices that have no text, or with a sample of them.

    Slices are dealt with as they are read from the ledger, so that memory does not grow with them. The captioners
    ``shuffled``, ``imported`` and, with ``beside``, ``report`` hold the texts that they hand out.

    Args:
        config: Settings.
        workspace: For answers of a chat model.
        ledger: Gets the texts.
        store: The volumes.
        chatting: As settled; None for captioners that are no chat model.
        outdated: Replaced by the first answer of a chat model.
        progress: Told the slices dealt with.
    """
    missing = sampled(config, ledger)
    if chatting is None:
        _write(config, ledger, _texts(config, workspace, ledger, store, missing), progress)
        return Effort()
    if config.entry.by_files:
        from .batching import ask_by_files

        batched = ask_by_files(chatting, workspace, ledger, store, missing, outdated, progress)
        return Effort(
            cost_usd=batched.cost_usd,
            stopped="budget" if batched.written.left else "files" if batched.waiting else "",
            files=tuple(str(path) for path in batched.written.files),
            waiting=batched.waiting,
            in_doubt_usd=batched.in_doubt_usd,
        )
    from .chatting import ask_about

    asked = ask_about(chatting, workspace, ledger, store, missing, outdated, progress)
    return Effort(
        asked.requests_sent,
        asked.cost_usd,
        stopped=asked.stopped or ("files" if asked.waiting else ""),
        waiting=asked.waiting,
        in_doubt_usd=asked.in_doubt_usd,
    )


def _write(config: CaptionConfig, ledger: CaptionStore, texts: Iterable[list[Written]], progress: Progress) -> None:
    total = ledger.num_slices()
    done = ledger.num_written(config.kept_as)
    progress(done, total)
    for chunk in texts:
        ledger.add(config.kept_as, chunk)
        done += len(chunk)
        progress(done, total)


def _texts(
    config: CaptionConfig,
    workspace: Workspace,
    ledger: CaptionStore,
    store: VoxelStore,
    missing: Iterable[SliceRef],
) -> Iterator[list[Written]]:
    """Yields the texts of the slices that have none, chunk by chunk."""
    if config.entry.way == "view":
        workers = config.workers or (usable_cores() if config.engine == "local" else 0)
        left_out = without_labels(store.cases, config.held_out) if config.entry.needs_labels else {}
        describer = Describer(workspace.prepared, config.captioner, left_out)
        yield from describe_slices(describer, missing, engine=config.engine, workers=workers)
        return
    if config.entry.way == "reports":
        before = ledger.texts(config.beside) if config.beside else {}
        dealer = ReportDealer(config, reports_of(config, store.cases), before)
        yield from ([dealer.write(ref) for ref in chunk] for chunk in in_chunks(missing))
        return
    dealt = config.entry.way == "dealt"
    given = deal_texts(config, ledger, store) if dealt else texts_to_import(config.existing, ledger, store)
    for chunk in in_chunks(missing):
        yield [_given(ref, given, None if dealt else store.cases[ref.crop.case]) for ref in chunk]


def _given(ref: SliceRef, texts: dict[str, str], case: Case | None) -> Written:
    """Returns a slice's text; with its case, what is noticed about the text as well."""
    text = texts.get(ref.key, "")
    if not text:
        return Written(ref.key, "", ("no-text",))
    if case is None:
        return Written(ref.key, text)
    return untrusted(ref.key, text, ref.plane, case.modality)


def sampled(config: CaptionConfig, ledger: CaptionStore) -> Iterable[SliceRef]:
    """Returns the slices to deal with now; of a sample, those that are spread evenly over the table."""
    missing = ledger.missing(config.kept_as)
    total = ledger.num_slices()
    if config.sample is None or config.sample >= total:
        return missing
    wanted = {number * total // config.sample for number in range(config.sample)}
    keys = {ref.key for row, ref in enumerate(ledger.each_slice()) if row in wanted}
    return (ref for ref in missing if ref.key in keys)
