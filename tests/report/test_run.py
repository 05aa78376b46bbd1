from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from med3dinsight.errors import WorkspaceError
from med3dinsight.report.config import ReportConfig
from med3dinsight.report.run import run
from med3dinsight.workspace.provenance import NotDone, look_only


def report(bench: Any, **settings: Any) -> Any:
    return run(ReportConfig(**settings), bench.workspace)


def test_a_second_call_does_nothing(bench: Any) -> None:
    bench.prepare("ann")
    first = report(bench)
    page = Path(first.page)
    assert page == bench.workspace.report / "index.html"
    written = page.stat().st_mtime_ns
    assert not first.done_before
    second = report(bench)
    assert second.done_before
    assert second.page == first.page
    assert page.stat().st_mtime_ns == written


def test_the_page_is_written_again_when_what_it_shows_has_changed(bench: Any) -> None:
    bench.prepare("ann")
    report(bench)
    bench.caption("tissue")
    assert not report(bench).done_before
    bench.study(title="now by a study")
    assert not report(bench).done_before
    assert not report(bench, title="mine").done_before
    assert report(bench, title="mine").done_before
    Path(report(bench, title="mine").page).unlink()
    assert not report(bench, title="mine").done_before


def test_a_look_does_no_work(bench: Any) -> None:
    bench.prepare("ann")
    with look_only(), pytest.raises(NotDone):
        report(bench)
    assert not bench.workspace.report.exists()


def test_nothing_prepared_is_the_users_to_mend(bench: Any) -> None:
    with pytest.raises(WorkspaceError, match="prepared is not complete"):
        report(bench)


def test_a_damaged_file_of_a_finished_stage_is_named(bench: Any) -> None:
    bench.prepare("ann")
    bench.localize({})
    (bench.workspace.evaluation / "localization.json").write_text("{")
    with pytest.raises(WorkspaceError, match=r"localization\.json is damaged"):
        report(bench)
    assert not (bench.workspace.report / "index.html").exists()


def test_progress_counts_the_sections(bench: Any) -> None:
    bench.prepare("ann")
    seen: list[tuple[int, int]] = []
    run(ReportConfig(), bench.workspace, progress=lambda done, total, note="": seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1][0] == seen[-1][1]


def test_the_page_is_made_without_torch_and_without_a_window(bench: Any) -> None:
    bench.everything()
    code = """
import sys
from med3dinsight.report import run
from med3dinsight.report.config import ReportConfig
from med3dinsight.workspace import Workspace
run(ReportConfig(), Workspace(sys.argv[1]))
print([name for name in ("torch", "matplotlib.pyplot", "tkinter") if name in sys.modules])
"""
    command = [sys.executable, "-c", code, str(bench.workspace.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
