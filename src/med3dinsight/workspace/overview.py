"""What a workspace holds and what it takes on disk; removing one stage's output."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from pathlib import Path
from typing import Any

from ..errors import WorkspaceError, suggest
from .files import disk_errors
from .provenance import RECORD
from .workspace import STAGES, Workspace

#: The verb that fills a stage's folder is accepted as its name.
FOLDER_OF_VERB = {
    "prepare": "prepared",
    "caption": "captions",
    "caption-audit": "audit",
    "embed": "features",
    "pretrain": "pretraining",
    "finetune": "finetuning",
    "evaluate": "evaluation",
}
#: Answers that were paid for: no stage's output. Only its own name removes it.
ASKED = "asked"
#: Stages with one folder a run, or a captioner.
_OF_RUNS = ("captions", "pretraining", "finetuning")
#: What else is locked by who writes into a stage's folder, beside names that begin with the folder's.
_LOCKED_TOO = {ASKED: ("captions",), "evaluation": ("probe", "localization")}
_REMOVED = ".removed-"


def overview(workspace: Workspace) -> list[dict[str, Any]]:
    """Returns a row for each stage, in the order of the data.

    Returns:
        ``{"stage", "state", "complete", "unfinished", "bytes"}``: ``state`` is "absent", "unfinished" or "done";
        ``complete`` and ``unfinished`` list runs, captioners, towers or parts; ``bytes`` is the size on disk. Where
        chat models were asked, a row "asked" of state "kept" follows.
    """
    rows = [_row(workspace.folder(stage)) for stage in STAGES]
    if workspace.asked.exists():
        size = bytes_on_disk(workspace.asked)
        rows.append({"stage": ASKED, "state": "kept", "complete": [], "unfinished": [], "bytes": size})
    return rows


def _row(folder: Path) -> dict[str, Any]:
    complete = sorted(str(path.parent.relative_to(folder)) for path in folder.rglob(RECORD))
    runs = [path for path in folder.glob("*") if path.is_dir()] if folder.name in _OF_RUNS else []
    unfinished = sorted(path.name for path in runs if not (path / RECORD).exists())
    state = "absent" if not folder.exists() else "done" if complete and not unfinished else "unfinished"
    return {
        "stage": folder.name,
        "state": state,
        "complete": complete,
        "unfinished": unfinished,
        "bytes": bytes_on_disk(folder),
    }


def bytes_on_disk(path: Path) -> int:
    """Sums up what a file or folder takes on disk; links are not followed, files that vanish meanwhile count 0."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:
                continue
            total += status.st_blocks * 512 if stat.S_ISREG(status.st_mode) else 0
    return total


def stage_folder(workspace: Workspace, stage: str) -> Path:
    """Returns a stage's folder by its own name or by the verb that fills it; "asked" is that of paid answers.

    Raises:
        WorkspaceError: No stage has that name.
    """
    if stage == ASKED:
        return workspace.asked
    if stage not in STAGES and stage not in FOLDER_OF_VERB:
        raise WorkspaceError(f"no stage called {stage}", suggest(stage, (*STAGES, *FOLDER_OF_VERB)))
    return workspace.folder(FOLDER_OF_VERB.get(stage, stage))


def remove_stage(workspace: Workspace, stage: str) -> int:
    """Removes one stage's output and returns the bytes that became free.

    The folder is renamed first, so that a kill leaves the stage whole or absent, and never a half of it that
    looks complete.

    Args:
        workspace: Where.
        stage: Name of the stage's folder, or of the verb that fills it.

    Raises:
        WorkspaceError: No stage has that name, or the folder cannot be written to.
        WorkspaceLockedError: A study is running in the workspace, or this stage is.
    """
    folder = stage_folder(workspace, stage)
    with contextlib.ExitStack() as locks:
        for name in ("workspace", *_locks_of(workspace, folder.name)):
            locks.enter_context(workspace.lock(name, wait_seconds=0.5))
        locks.enter_context(disk_errors(folder))
        freed = bytes_on_disk(folder)
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            os.replace(folder, folder.with_name(f"{_REMOVED}{folder.name}-{time.time_ns()}"))
        for leftover in workspace.root.glob(f"{_REMOVED}*"):
            shutil.rmtree(leftover)
    return freed


def _locks_of(workspace: Workspace, folder: str) -> list[str]:
    """Returns the names of all locks that were ever held to write into a stage's folder."""
    names = [path.name.removeprefix(".").removesuffix(".lock") for path in sorted(workspace.root.glob(".*.lock"))]
    return [name for name in names if f"{name}-".startswith(f"{folder}-") or name in _LOCKED_TOO.get(folder, ())]
