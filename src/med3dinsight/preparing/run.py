"""The stage ``prepare``: every scan of a folder into the voxel store, resumable scan by scan."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from ..datasets import detect, find
from ..records import LeftOut
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.provenance import StageRecord, completed, fingerprint, write_record
from .config import PrepareConfig
from .left_out import nothing_prepared, write_left_out
from .notes import notes_of
from .plan import make_plan
from .resuming import ResumedStore, is_whole
from .working import prepare_all

STAGE_VERSION = 2


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
        plan: The grid, the spacings of the scans and the rules of intensity, as in ``prepared/plan.json``.
        notes: What a user should know of the intensities, one sentence each.
    """

    prepared: int
    left_out: tuple[LeftOut, ...]
    workspace: str
    seconds: float
    done_before: bool = False
    layout: str = ""
    plan: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def run(config: PrepareConfig, workspace: Workspace, *, progress: Progress = silent) -> PrepareResult:
    """Prepares every scan of a folder; scans that cannot be used are left out and named.

    Scans are prepared side by side and written in the order of their names by this process alone: the result does
    not depend on the engine or on the number of workers. A kill loses at most the scans in work. Scans that were
    prepared from the same files with the same settings are kept, but for those whose volumes are gone, cut, or noted as
    damaged (``status --verify`` notes them): these are prepared again. A scan that meets a bug, or needs more memory
    than there is, is left out like one that is broken, with a reason that begins with "unexpected".

    Args:
        config: See :class:`PrepareConfig`.
        workspace: Where to.
        progress: Told about every scan.

    Raises:
        ConfigError: The layout is unknown, the subject pattern no pattern, or the engine not installed.
        InputError: There is no such folder, no scan in it, or none that can be used.
        DiskFullError: The disk is full; what was prepared stays.
        WorkspaceLockedError: Somebody prepares there, or reads volumes that would change.
        Med3DInsightError: No scan could be prepared, and no scan is known to be bad.
    """
    started = time.time()
    layout = detect(config.source, config.layout)
    sources, problems = find(config.source, layout, config.subject_pattern)
    plan = make_plan(config, sources, workspace.prepared)
    states = plan.states()
    settings = fingerprint("prepare", STAGE_VERSION, plan.config.item_settings())
    stage = fingerprint(settings, states, [asdict(item) for item in problems])
    expected = stage if is_whole(workspace.prepared) else "its output is gone or damaged"
    if (record := completed(workspace.prepared, expected)) is not None:
        left_out = tuple(LeftOut(**item) for item in record.result["left_out"])
        changed = {"left_out": left_out, "workspace": str(workspace.root), "done_before": True, "layout": layout}
        return PrepareResult(**{**record.result, **changed, "notes": tuple(record.result["notes"])})
    with workspace.lock("prepared"):
        store = ResumedStore(workspace.prepared, plan.config, settings, states)
        unexpected = prepare_all(plan, store, problems, progress)
        if not (count := store.finish()):
            raise nothing_prepared(config.source, problems, unexpected)
        plan.write(workspace.prepared)
        write_left_out(workspace.prepared, problems)
        seconds = round(time.time() - started, 3)
        result = PrepareResult(
            prepared=count,
            left_out=tuple(problems),
            workspace=str(workspace.root),
            seconds=seconds,
            layout=layout,
            plan=plan.as_json(),
            notes=notes_of(workspace.prepared),
        )
        shown = plan.config.model_dump(mode="json")
        write_record(workspace.prepared, StageRecord("prepare", stage, shown, asdict(result), seconds))
    return result
