"""The stage ``report``: what all stages left -> ``report/index.html``."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.files import write_bytes
from ..workspace.provenance import StageRecord, completed, fingerprint, write_record
from .config import ReportConfig
from .inputs import read_inputs, read_records, read_study_document

STAGE_VERSION = 2


@dataclass(frozen=True)
class ReportResult:
    """What the report tells.

    Attributes:
        page: Path of the page.
        done_before: Whether it was complete already.
    """

    page: str
    done_before: bool = False


def run(config: ReportConfig, workspace: Workspace, *, progress: Progress = silent) -> ReportResult:
    """Writes the page about everything that is finished; parts that were not run are named as such.

    Args:
        config: See :class:`ReportConfig`.
        workspace: Prepared at least.
        progress: Told the sections done.

    Returns:
        The result; the page is ``report/index.html``.

    Raises:
        WorkspaceError: Nothing is prepared, or a file that a finished stage left is missing or damaged.
        DiskFullError: The disk is full.
    """
    workspace.require(workspace.prepared, "prepare")
    path = workspace.report / "index.html"
    records = read_records(workspace)
    inputs = {name: record.fingerprint for name, record in records.items()}
    identity = fingerprint("report", STAGE_VERSION, config.identity(), read_study_document(workspace), inputs)
    if completed(workspace.report, identity if path.exists() else "its output is gone") is not None:
        return ReportResult(str(path), done_before=True)
    started = time.time()
    with workspace.lock("report"):
        from .page import render_page

        write_bytes(path, render_page(read_inputs(workspace), config, progress).encode())
        result = ReportResult(str(path))
        shown = config.model_dump(mode="json")
        write_record(
            workspace.report, StageRecord("report", identity, shown, asdict(result), round(time.time() - started, 3))
        )
    return result
