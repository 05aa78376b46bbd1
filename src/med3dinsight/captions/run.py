"""The stage ``caption``: a text for every slice of the slice table, resumable in chunks of slices."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..encoders.seen import Seen
from ..encoders.texts_seen import labels_seen, write_labels_seen
from ..errors import WorkspaceError
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore
from ..workspace.provenance import RECORD, StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import VoxelStore
from .config import CaptionConfig
from .describing import CHUNK_SLICES as CHUNK_SLICES
from .importing import hash_of
from .labelled import labels_used
from .outdated import RECORD_ASIDE, Outdated
from .planning import Plan, plan
from .publishing import publish
from .texts import read_texts_of
from .writing import Effort, write_texts

if TYPE_CHECKING:
    from .settled import Chatting

STAGE_VERSION = 2


@dataclass(frozen=True)
class CaptionResult:
    """What captioning tells.

    Attributes:
        captioned: Slices that have a text of this captioner now.
        quarantined: Slices whose answers could not be read; they are not asked about again.
        cut: How many of these because the answer was longer than ``max_tokens``.
        refused: Slices that the model would not describe; nor are these.
        requests_sent: Questions of this run to a chat model.
        cost_usd: What they cost, as far as prices are known.
        in_doubt_usd: What runs so far may have paid for without an answer, as they were killed or cut off; it counts as
            spent.
        captioner: The name that the texts are kept under.
        unfilled: Slices of the quotas that no informative slice was left for.
        without_text: Slices that have none, for whatever reason; training leaves them out.
        left: Slices that are still to be dealt with, after a sample or where the budget was used up.
        held_back: Slices without a text because their scan must stay on this machine.
        flagged: Slices whose text has a flag.
        stopped: "budget" or "files" (request files wait for answers) where that ended it, else "".
        files: Request files that were written, to be uploaded.
        waiting: Slices whose question waits for the answer to a request file, of this run or of an earlier one.
        waiting_for: Whose files these are: names of folders in ``asked``.
        notes: What to look at because slices left this machine, a sentence each.
        done_before: True where the stage was complete and nothing was done.
    """

    captioned: int
    quarantined: int
    requests_sent: int
    cost_usd: float
    captioner: str
    unfilled: int = 0
    without_text: int = 0
    left: int = 0
    held_back: int = 0
    flagged: int = 0
    stopped: str = ""
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    cut: int = 0
    refused: int = 0
    in_doubt_usd: float = 0.0
    waiting: int = 0
    waiting_for: tuple[str, ...] = ()
    done_before: bool = False


def run(config: CaptionConfig, workspace: Workspace, *, progress: Progress = silent) -> CaptionResult:
    """Captions every slice; texts that are in the ledger already are kept.

    Args:
        config: See :class:`CaptionConfig`.
        workspace: Prepared.
        progress: Told about every chunk of slices.

    Raises:
        ConfigError: The crops are smaller than the positions asked for, or there is no file to import.
        InputError: No slice is informative, or a file to import, or of reports, is no such table.
        WorkspaceError: Nothing is prepared, or what is to be shuffled has not been captioned.
        DiskFullError: The disk is full; the texts so far stay.
    """
    started = time.time()
    prepared = workspace.require(workspace.prepared, "prepare")
    inputs: list[Any] = [prepared.fingerprint, config.entry.version]
    if config.texts_from:
        inputs.append(read_texts_of(config, workspace))
    if config.reports is not None and config.entry.way == "reports":
        inputs.append(hash_of(config.reports))
    if config.entry.way == "imported":
        inputs.append(hash_of(config.existing))
    identity = fingerprint("caption", STAGE_VERSION, config.identity(), inputs)
    folder = workspace.captions / config.kept_as
    if (record := completed(folder, identity)) is not None:
        return CaptionResult(**{**record.result, "requests_sent": 0, "cost_usd": 0.0, "done_before": True})
    with workspace.lock("captions"):
        store = VoxelStore(workspace.prepared)
        chatting = _settled(config, store)
        slices = plan(config, store, whole=prepared.config.get("protocol") == "cube128")
        with CaptionStore(workspace.captions, create=True) as ledger:
            _set_slices(config, workspace, ledger, slices)
            with Outdated(config, workspace, ledger, store) as outdated:
                effort = write_texts(config, workspace, ledger, store, chatting, outdated, progress)
                notes = chatting.notes if chatting else ()
                result = replace(_result(config, ledger, slices.unfilled, effort), notes=notes)
                if result.left:
                    return replace(result, notes=(*notes, *outdated.notes))
                outdated.replace()
            write_labels_seen(folder, _labels_seen(config, workspace, ledger, store))
            publish(config, folder, ledger, dict(store.cases))
        shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
        made_from = {"prepared": prepared.fingerprint}
        write_record(folder, StageRecord("caption", identity, shown, asdict(result), seconds, inputs=made_from))
    return result


def _settled(config: CaptionConfig, store: VoxelStore) -> Chatting | None:
    """Settles everything about a chat model before anything is changed or sent."""
    if config.entry.way != "chat":
        return None
    from .settled import settle

    return settle(config, store.cases.values())


def _set_slices(config: CaptionConfig, workspace: Workspace, ledger: CaptionStore, slices: Plan) -> None:
    if ledger.has_slices(slices):
        return
    if source := config.texts_from:
        raise WorkspaceError(
            f"{source} has captioned other slices than these settings ask for",
            f"run `med3dinsight caption --captioner {source}` with the same slice settings first",
        )
    # "Complete" means complete for the slice table, and that is about to change.
    for name in (RECORD, RECORD_ASIDE):
        for record in workspace.captions.glob(f"*/{name}"):
            record.unlink()
    ledger.replace_slices(slices)


def _labels_seen(config: CaptionConfig, workspace: Workspace, ledger: CaptionStore, store: VoxelStore) -> Seen | None:
    """Returns whose label maps the texts tell; what is dealt out anew tells them too."""
    if config.texts_from:
        return labels_seen(workspace.captions / config.texts_from)
    return labels_used(ledger, config.kept_as, store.cases) if config.entry.needs_labels else None


def _result(config: CaptionConfig, ledger: CaptionStore, unfilled: int, effort: Effort) -> CaptionResult:
    name = config.kept_as
    dealt_with, without = ledger.num_written(name), ledger.num_without_text(name)
    return CaptionResult(
        captioned=dealt_with - without,
        quarantined=ledger.num_written(name, only_flag="quarantined"),
        requests_sent=effort.requests_sent,
        cost_usd=effort.cost_usd,
        captioner=name,
        unfilled=unfilled,
        without_text=without,
        left=ledger.num_slices() - dealt_with,
        held_back=ledger.num_written(name, only_flag="held-back"),
        flagged=ledger.num_flagged(name) - without,
        stopped=effort.stopped,
        files=effort.files,
        refused=ledger.num_written(name, only_flag="refused"),
        cut=ledger.num_written(name, only_flag="cut"),
        in_doubt_usd=effort.in_doubt_usd,
        waiting=sum(effort.waiting.values()),
        waiting_for=tuple(sorted(effort.waiting)),
    )
