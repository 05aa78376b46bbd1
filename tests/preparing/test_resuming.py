"""Going on after a kill, a full disk or a change of files and settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import med3dinsight
from med3dinsight.errors import DiskFullError, InputError, WorkspaceLockedError
from med3dinsight.preparing.run import run
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import NotDone, look_only
from med3dinsight.workspace.voxel_store import VoxelStore
from med3dinsight.workspace.voxel_store_chunked import ChunkedWriter

KILLED = """
import sys, time
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.run import run
from med3dinsight.workspace import Workspace

def told(done, total, note=""):
    print(done, flush=True)
    time.sleep(0.1)

config = PrepareConfig(source=sys.argv[1], protocol="native", spacing_mm=2.0, workers=int(sys.argv[3]))
run(config, Workspace(sys.argv[2]), progress=told)
"""


def test_a_second_run_finds_all_done_without_reading_a_scan(source, workspace, monkeypatch, settings, content):
    first = run(settings(source), workspace)
    monkeypatch.setattr(
        sys.modules["med3dinsight.preparing.packing"], "prepare_source", lambda *_: pytest.fail("a scan was read")
    )
    before = content(workspace)
    second = run(settings(source), workspace)
    assert (second.prepared, second.seconds, second.done_before) == (3, first.seconds, True)
    assert content(workspace) == before
    with look_only():
        assert run(settings(source), workspace).done_before


def test_a_look_alone_does_nothing(source, workspace, settings):
    with look_only(), pytest.raises(NotDone):
        run(settings(source), workspace)
    assert not workspace.prepared.exists()


def test_an_unusable_source_does_not_harm_what_was_prepared(source, tmp_path, workspace, settings, content):
    run(settings(source), workspace)
    before = content(workspace)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.nii").write_bytes(b"no image")
    with pytest.raises(InputError):
        run(settings(tmp_path / "bad"), workspace)
    assert content(workspace) == before
    assert run(settings(source), workspace).done_before


def test_a_new_scan_is_added_and_the_others_are_kept(source, workspace, prepared_again, scan, settings):
    run(settings(source), workspace)
    scan(source, "abel", seed=9)
    ids = prepared_again()
    assert run(settings(source), workspace).prepared == 4
    assert ids == ["abel-image"]
    assert list(VoxelStore(workspace.prepared).cases) == ["abel-image", "anna-image", "bert-image", "cleo-image"]


@pytest.mark.parametrize(("protocol", "again"), [("native", ["bert-image"]), ("cube128", ["bert-image", "cleo-image"])])
def test_a_changed_scan_is_prepared_again_and_of_cubes_those_behind_it(
    source, workspace, prepared_again, scan, settings, content, protocol, again
):
    config = settings(source, protocol=protocol, cube_size=16)
    run(config, workspace)
    scan(source, "bert", seed=77)
    ids = prepared_again()
    assert run(config, workspace).prepared == 3
    assert ids == again
    fresh = Workspace(workspace.root.parent / "fresh", create=True)
    run(config, fresh)
    assert content(workspace) == content(fresh)


def test_changed_names_of_labels_count_as_a_change(source, workspace, settings):
    run(settings(source), workspace)
    (source / "cleo" / "label.json").write_text('{"3": "flesh"}')
    assert not run(settings(source), workspace).done_before
    assert VoxelStore(workspace.prepared).cases["cleo-image"].label_names == ((3, "flesh"),)


def test_a_scan_that_is_gone_is_dropped(source, workspace, settings):
    run(settings(source), workspace)
    (source / "cleo" / "image.nii.gz").unlink()
    (source / "cleo" / "label.nii.gz").unlink()
    assert run(settings(source), workspace).prepared == 2
    store = VoxelStore(workspace.prepared)
    assert list(store.cases) == ["anna-image", "bert-image"]
    assert sorted(path.stem for path in (workspace.prepared / "volumes").iterdir()) == list(store.cases)


def test_other_settings_start_anew(source, workspace, prepared_again, settings):
    run(settings(source), workspace)
    ids = prepared_again()
    run(settings(source, spacing_mm=1.0), workspace)
    assert len(ids) == 3
    assert VoxelStore(workspace.prepared).cases["anna-image"].shape == (10, 8, 12)


def test_a_setting_of_the_other_protocol_changes_nothing(source, workspace, settings):
    run(settings(source), workspace)
    assert run(settings(source, cube_size=32), workspace).done_before


def test_a_full_disk_keeps_what_was_prepared(source, workspace, monkeypatch, prepared_again, settings):
    whole = ChunkedWriter.append

    def full(self, case, voxels, label):
        if case.id == "bert-image":
            raise DiskFullError("no space left", "free some")
        return whole(self, case, voxels, label)

    with monkeypatch.context() as patch:
        patch.setattr(ChunkedWriter, "append", full)
        with pytest.raises(DiskFullError):
            run(settings(source), workspace)
    ids = prepared_again()
    assert run(settings(source), workspace).prepared == 3
    assert ids == ["bert-image", "cleo-image"]


def test_a_kill_loses_at_most_the_scan_in_work(tmp_path, workspace, prepared_again, scan, settings, content):
    source = tmp_path / "scans"
    for number in range(12):
        scan(source, f"p{number:02d}", seed=number, label=True)
    environment = {**os.environ, "PYTHONPATH": str(Path(med3dinsight.__file__).parents[1])}
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(source), str(workspace.root), "1"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    for _ in range(4):
        done = int(child.stdout.readline())
    time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not (workspace.prepared / "stage.json").exists()
    ids = prepared_again()
    result = run(settings(source), workspace)
    assert result.prepared == 12
    assert 12 - len(ids) >= done
    fresh = Workspace(tmp_path / "fresh", create=True)
    run(settings(source), fresh)
    assert content(workspace) == content(fresh)


def test_ctrl_c_while_a_row_is_written_leaves_no_row_without_its_files(source, workspace, settings, monkeypatch):
    written = []

    def interrupted(descriptor):
        written.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        if written.count("manifest.jsonl") == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(settings(source), workspace)
    monkeypatch.undo()
    assert list(VoxelStore(workspace.prepared).verify()) == []
    assert run(settings(source), workspace).prepared == 3
    assert list(VoxelStore(workspace.prepared).verify()) == []


@pytest.mark.parametrize("protocol", ["native", "cube128"])
def test_volumes_do_not_change_under_a_reader(source, workspace, settings, scan, content, monkeypatch, protocol):
    run(settings(source, protocol=protocol, cube_size=16), workspace)
    store = VoxelStore(workspace.prepared)
    before = content(workspace)
    monkeypatch.setattr(time, "monotonic", iter(range(0, 1000, 10)).__next__)
    with pytest.raises(WorkspaceLockedError, match="is being read"):
        run(settings(source, protocol=protocol, cube_size=16, ct_window=(-200, 300)), workspace)
    monkeypatch.undo()
    assert content(workspace) == before
    assert run(settings(source, protocol=protocol, cube_size=16), workspace).done_before
    scan(source, "dora", seed=9)
    assert run(settings(source, protocol=protocol, cube_size=16), workspace).prepared == 4, "adding disturbs nobody"
    assert list(store.verify()) == []
    del store
    assert run(settings(source, protocol=protocol, cube_size=16, ct_window=(-200, 300)), workspace).prepared == 4
