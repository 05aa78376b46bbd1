"""The stage ``caption``: a text for every slice of the slice table, resumable in chunks of slices."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from ..errors import InputError, WorkspaceError
from ..records import SliceRef
from ..slices.informative import Informative, plan_informative
from ..slices.sampling import plan_slices
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore
from ..workspace.provenance import RECORD, StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import VoxelStore
from .config import CaptionConfig
from .registry import CAPTIONERS
from .texts import drop_outdated_texts, writer_of

STAGE_VERSION = 1
#: Slices whose texts are stored in one transaction: what a kill loses at most.
CHUNK_SLICES = 256


@dataclass(frozen=True)
class CaptionResult:
    """What captioning tells.

    Attributes:
        captioned: Slices that have a text of this captioner now.
        quarantined: Slices whose text was refused.
        requests_sent: Questions that left the machine.
        cost_usd: What they cost.
        captioner: Who wrote.
        unfilled: Slices of the quotas that no informative slice was left for.
        done_before: True where the stage was complete and nothing was done.
    """

    captioned: int
    quarantined: int
    requests_sent: int
    cost_usd: float
    captioner: str
    unfilled: int = 0
    done_before: bool = False


def run(config: CaptionConfig, workspace: Workspace, *, progress: Progress = silent) -> CaptionResult:
    """Captions every slice; texts that are in the ledger already are kept.

    Args:
        config: See :class:`CaptionConfig`.
        workspace: Prepared.
        progress: Told about every chunk of slices.

    Raises:
        ConfigError: The crops are smaller than the positions asked for.
        InputError: No slice is informative.
        WorkspaceError: Nothing is prepared, or what is to be shuffled has not been captioned.
        DiskFullError: The disk is full; the texts so far stay.
    """
    started = time.time()
    prepared = workspace.require(workspace.prepared, "prepare")
    inputs = [prepared.fingerprint, CAPTIONERS[config.captioner].version]
    if config.captioner == "shuffled":
        shuffled = workspace.require(workspace.captions / config.shuffle_of, f"caption --captioner {config.shuffle_of}")
        inputs.append(shuffled.fingerprint)
    identity = fingerprint("caption", STAGE_VERSION, config.identity(), inputs)
    folder = workspace.captions / config.captioner
    if (record := completed(folder, identity)) is not None:
        return CaptionResult(**{**record.result, "done_before": True})
    with workspace.lock("captions"):
        store = VoxelStore(workspace.prepared)
        slices, unfilled = _plan(config, store, whole=prepared.config.get("protocol") == "cube128")
        with CaptionStore(workspace.captions, create=True) as ledger:
            _set_slices(config, workspace, ledger, slices)
            _write_texts(config, workspace, ledger, store, progress)
        result = CaptionResult(len(slices), 0, 0, 0.0, config.captioner, unfilled)
        shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
        made_from = {"prepared": prepared.fingerprint}
        write_record(folder, StageRecord("caption", identity, shown, asdict(result), seconds, inputs=made_from))
    return result


def _plan(config: CaptionConfig, store: VoxelStore, *, whole: bool) -> tuple[list[SliceRef], int]:
    """Returns the slices that get a text, and how many of the quotas could not be filled."""
    settings = config.slice_settings()
    if config.sampling == "uniform":
        return plan_slices(store.cases.values(), whole=whole, **settings), 0
    rule = Informative(config.least_body, config.most_alike, settings.pop("seed"))
    chosen = plan_informative(store, whole=whole, rule=rule, **settings)
    if not chosen.slices:
        raise InputError(
            "no slice is informative by these settings", "lower caption.least_body, or look at the prepared volumes"
        )
    return chosen.slices, chosen.unfilled


def _set_slices(config: CaptionConfig, workspace: Workspace, ledger: CaptionStore, slices: list[SliceRef]) -> None:
    if ledger.slices() == slices:
        return
    if config.captioner == "shuffled":
        raise WorkspaceError(
            f"{config.shuffle_of} has captioned other slices than these settings ask for",
            f"run `med3dinsight caption --captioner {config.shuffle_of}` with the same slice settings first",
        )
    # "Complete" means complete for the slice table, and that is about to change.
    for record in workspace.captions.glob(f"*/{RECORD}"):
        record.unlink()
    ledger.replace_slices(slices)


def _write_texts(
    config: CaptionConfig, workspace: Workspace, ledger: CaptionStore, store: VoxelStore, progress: Progress
) -> None:
    slices = ledger.slices()
    drop_outdated_texts(config, workspace, ledger, store)
    done = ledger.texts(config.captioner)
    missing = [ref for ref in slices if ref.key not in done]
    write = writer_of(config, ledger, store)
    progress(len(slices) - len(missing), len(slices))
    for first in range(0, len(missing), CHUNK_SLICES):
        chunk = missing[first : first + CHUNK_SLICES]
        ledger.add(config.captioner, [(ref.key, write(ref)) for ref in chunk])
        progress(len(slices) - len(missing) + first + len(chunk), len(slices))
