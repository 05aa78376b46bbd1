from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from med3dinsight.errors import WorkspaceError, WorkspaceLockedError
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.files import read_json, write_json
from med3dinsight.workspace.provenance import StageRecord, write_record
from med3dinsight.workspace.workspace import FORMAT_VERSION, STAGES


def test_a_workspace_is_made_only_when_asked_for(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="is no workspace"):
        Workspace(tmp_path / "work")
    assert not (tmp_path / "work").exists()
    Workspace(tmp_path / "work", create=True)
    assert Workspace(tmp_path / "work").root == tmp_path / "work"
    assert read_json(tmp_path / "work" / "workspace.json")["format_version"] == FORMAT_VERSION


def test_a_folder_with_other_things_in_it_is_never_taken_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(WorkspaceError, match="exists and is no workspace"):
        Workspace(tmp_path, create=True)
    with pytest.raises(WorkspaceError, match="exists and is no workspace"):
        Workspace(tmp_path / "thesis.txt", create=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_workspace_of_another_format_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "workspace.json", {"format_version": FORMAT_VERSION + 1})
    with pytest.raises(WorkspaceError, match=f"format {FORMAT_VERSION + 1}; this version reads {FORMAT_VERSION}"):
        Workspace(tmp_path)


def test_every_stage_has_its_folder_and_others_get_a_suggestion(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "work", create=True)
    for stage in STAGES:
        assert workspace.folder(stage) == getattr(workspace, stage) == tmp_path / "work" / stage
    with pytest.raises(WorkspaceError, match="did you mean captions"):
        workspace.folder("caption")


def test_a_stage_that_has_not_finished_names_the_verb_to_run(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "work", create=True)
    with pytest.raises(WorkspaceError, match="run `med3dinsight prepare` first"):
        workspace.require(workspace.prepared, "prepare")
    record = StageRecord("prepare", "f" * 32, {}, {"prepared": 3}, 1.5)
    write_record(workspace.prepared, record)
    assert workspace.require(workspace.prepared, "prepare") == record


HOLD = """
import sys, time
from med3dinsight.workspace import Workspace
with Workspace(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_keeps_others_out_names_the_holder_and_falls_with_kill_9(
    tmp_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    workspace = Workspace(tmp_path / "work", create=True)
    process = child(HOLD, workspace.root)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(WorkspaceLockedError, match=f"in use by process {process.pid}"), workspace.lock(wait_seconds=0):
        pass
    with workspace.lock("pretraining/other", wait_seconds=0):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    begin = time.monotonic()
    with workspace.lock(wait_seconds=5):
        assert time.monotonic() - begin < 2


def test_a_lock_can_be_taken_again_after_an_error_inside_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "work", create=True)
    with pytest.raises(RuntimeError), workspace.lock():
        raise RuntimeError
    with workspace.lock(wait_seconds=0), pytest.raises(WorkspaceLockedError), workspace.lock(wait_seconds=0):
        pass


def test_a_workspace_that_nothing_came_into_can_be_discarded(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "new", create=True)
    with workspace.lock():
        pass
    workspace.discard_if_empty()
    assert not (tmp_path / "new").exists()
    used = Workspace(tmp_path / "used", create=True)
    used.prepared.mkdir()
    used.discard_if_empty()
    assert (tmp_path / "used" / "workspace.json").exists()


@pytest.mark.parametrize("name", ["x" * 300, "circle/work"])
def test_a_name_that_no_folder_can_have_is_a_users_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for create in (True, False):
        with pytest.raises(WorkspaceError, match=r"cannot write|is no workspace"):
            Workspace(tmp_path / name, create=create)
