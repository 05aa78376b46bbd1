"""Removing a stage leaves it whole or absent, and nothing outside the workspace."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from med3dinsight.errors import WorkspaceLockedError
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.overview import bytes_on_disk, overview, remove_stage
from med3dinsight.workspace.provenance import StageRecord, write_record


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "work", create=True)
    workspace.prepared.mkdir()
    write_record(workspace.prepared, StageRecord("prepare", "f", {}, {}, 0.0))
    return workspace


def test_a_linked_stage_loses_its_link_and_not_its_target(workspace: Workspace, tmp_path: Path) -> None:
    shutil.move(workspace.prepared, tmp_path / "elsewhere")
    workspace.prepared.symlink_to(tmp_path / "elsewhere")
    remove_stage(workspace, "prepared")
    assert not workspace.prepared.is_symlink()
    assert (tmp_path / "elsewhere" / "stage.json").exists()


def test_a_kill_while_removing_leaves_no_half_stage_and_the_rest_goes_next_time(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            remove_stage(workspace, "prepared")
    assert overview(workspace)[0]["state"] == "absent"
    workspace.prepared.mkdir()
    remove_stage(workspace, "prepared")
    assert sorted(path.name for path in workspace.root.iterdir()) == [".workspace.lock", "workspace.json"]


def test_a_captioner_of_which_a_sample_is_written_is_unfinished(workspace: Workspace) -> None:
    for name in ("tissue", "openai"):
        (workspace.captions / name).mkdir(parents=True)
    write_record(workspace.captions / "tissue", StageRecord("caption", "f", {}, {}, 0.0))
    row = overview(workspace)[1]
    assert (row["state"], row["complete"], row["unfinished"]) == ("unfinished", ["tissue"], ["openai"])


def test_bytes_are_those_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(b"x" * 1_000_000)
    with (tmp_path / "sparse").open("wb") as handle:
        handle.truncate(10_000_000)
    (tmp_path / "link").symlink_to(tmp_path / "full")
    assert 1_000_000 <= bytes_on_disk(tmp_path) < 2_000_000


def test_answers_that_were_paid_for_stay_until_they_are_named(workspace: Workspace) -> None:
    (workspace.captions / "openai").mkdir(parents=True)
    workspace.asked.mkdir()
    (workspace.asked / "answers.sqlite").write_bytes(b"paid" * 4096)
    assert [row["state"] for row in overview(workspace) if row["stage"] == "asked"] == ["kept"]
    remove_stage(workspace, "captions")
    remove_stage(workspace, "prepared")
    workspace.discard_if_empty()
    assert (workspace.asked / "answers.sqlite").exists() and (workspace.root / "workspace.json").exists()
    assert remove_stage(workspace, "asked") >= 16384
    assert not workspace.asked.exists()


@pytest.mark.parametrize(
    "stage, held",
    [
        ("captions", "captions"),
        ("asked", "captions"),
        ("features", "features-clip"),
        ("pretraining", "pretraining-a/b"),
        ("evaluation", "probe"),
    ],
)
def test_a_stage_that_is_being_written_is_not_removed(workspace: Workspace, stage: str, held: str) -> None:
    workspace.folder("captions").mkdir()
    with workspace.lock(held), pytest.raises(WorkspaceLockedError):
        remove_stage(workspace, stage)
    with workspace.lock("report"):
        remove_stage(workspace, stage)
