"""The stage ``prepare``: every scan of a folder into the voxel store, resumable scan by scan."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ..datasets import detect, find
from ..errors import InputError
from ..records import LeftOut
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.provenance import StageRecord, completed, fingerprint, write_record
from .config import PrepareConfig
from .item import prepare_source
from .resuming import ResumedStore, source_state

STAGE_VERSION = 1


@dataclass(frozen=True)
class PrepareResult:
    """What preparing tells.

    Attributes:
        prepared: Number of volumes in the store.
        left_out: Files that could not be used, with reason and hint.
        workspace: Path of the workspace.
        seconds: Wall time of the run that finished the stage.
        done_before: True where the stage was complete and nothing was done.
        layout: Name of the layout of the source folder, given or found out.
    """

    prepared: int
    left_out: tuple[LeftOut, ...]
    workspace: str
    seconds: float
    done_before: bool = False
    layout: str = ""


def run(config: PrepareConfig, workspace: Workspace, *, progress: Progress = silent) -> PrepareResult:
    """Prepares every scan of a folder; scans that cannot be used are left out and named.

    A kill loses at most the scan in work. Scans that were prepared from the same files with the same
    settings are kept.

    Args:
        config: See :class:`PrepareConfig`.
        workspace: Where to.
        progress: Told about every scan.

    Raises:
        ConfigError: The layout is unknown or the subject pattern no pattern.
        InputError: There is no such folder, no scan in it, or none that can be used.
        DiskFullError: The disk is full; what was prepared stays.
    """
    started = time.time()
    layout = detect(config.source, config.layout)
    sources, problems = find(config.source, layout, config.subject_pattern)
    root = Path(config.source).absolute()
    states = {source.id: source_state(source, root) for source in sources}
    settings = fingerprint("prepare", STAGE_VERSION, config.item_settings())
    stage = fingerprint(settings, states, [asdict(item) for item in problems])
    if (record := completed(workspace.prepared, stage)) is not None:
        left_out = tuple(LeftOut(**item) for item in record.result["left_out"])
        changed = {"left_out": left_out, "workspace": str(workspace.root), "done_before": True, "layout": layout}
        return PrepareResult(**{**record.result, **changed})
    with workspace.lock("prepared"):
        store = ResumedStore(workspace.prepared, settings, states)
        for done, source in enumerate(sources, start=1):
            try:
                if source.id not in store.kept:
                    store.append(prepare_source(source, config))
            except InputError as error:
                problems.append(LeftOut(source.image, error.message, error.hint))
            progress(done, len(sources), source.id)
        if not (count := store.finish()):
            raise _nothing(config.source, problems)
        seconds = round(time.time() - started, 3)
        result = PrepareResult(count, tuple(problems), str(workspace.root), seconds, layout=layout)
        shown = config.model_dump(mode="json")
        write_record(workspace.prepared, StageRecord("prepare", stage, shown, asdict(result), result.seconds))
    return result


def _nothing(source: str, problems: list[LeftOut]) -> InputError:
    if not problems:
        return InputError(f"no scan was found in {source}", "give a folder of NIfTI, NRRD, MHA or DICOM files")
    first, more = problems[0], len(problems) - 1
    others = f" ({more} more file{'s' if more > 1 else ''} left out)" if more else ""
    return InputError(f"nothing could be prepared: {first.file}: {first.reason}{others}", first.hint)
