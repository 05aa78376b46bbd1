"""Damaged volumes: what is gone, cut or noted as damaged is prepared again by the same command, the rest is kept."""

from __future__ import annotations

import os
import time

import pytest

from med3dinsight.errors import WorkspaceError, WorkspaceLockedError
from med3dinsight.preparing.run import run
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import NotDone, look_only, read_record
from med3dinsight.workspace.voxel_damage import NOTE, note_damage
from med3dinsight.workspace.voxel_manifest import MANIFEST, keep_rows
from med3dinsight.workspace.voxel_store import VoxelStore

ALL = ["anna-image", "bert-image", "cleo-image"]


def remove(path):
    path.unlink()


def cut(path):
    os.truncate(path, path.stat().st_size - 1)


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def change(path, place=-100):
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


@pytest.fixture
def mended(source, workspace, settings, content, prepared_again):
    """``mended(protocol, harm)``: prepares, harms, prepares again; the ids prepared again, the end being as fresh."""

    def mend(protocol, harm):
        config = settings(source, protocol=protocol, cube_size=16)
        run(config, workspace)
        before, record = content(workspace), read_record(workspace.prepared)
        harm(workspace.prepared)
        with look_only(), pytest.raises(NotDone):
            run(config, workspace)
        ids = prepared_again()
        assert not run(config, workspace).done_before
        assert content(workspace) == before
        assert read_record(workspace.prepared).fingerprint == record.fingerprint
        assert list(VoxelStore(workspace.prepared).verify()) == []
        assert run(config, workspace).done_before
        return ids

    return mend


@pytest.mark.parametrize("harm", [remove, cut, lengthen])
@pytest.mark.parametrize("name", ["volumes/anna-image.b2nd", "labels/anna-image.b2nd"])
def test_a_file_that_is_gone_or_of_another_size_is_prepared_again_alone(mended, harm, name):
    assert mended("native", lambda folder: harm(folder / name)) == ["anna-image"]


@pytest.mark.parametrize(
    ("name", "size", "again"),
    [
        ("voxels.u8", None, ALL),
        ("voxels.u8", 2 * 16**3, ALL[2:]),
        ("voxels.u8", 2 * 16**3 - 1, ALL[1:]),
        ("voxels.u8", 3 * 16**3 + 1, []),
        ("labels.u16", None, ALL),
        ("labels.u16", 2 * 16**3, ALL[2:]),  # bert has no label map: there is nothing to be lost
    ],
)
def test_cubes_are_prepared_again_from_the_first_that_is_lost(mended, name, size, again):
    def harm(folder):
        (folder / name).unlink() if size is None else os.truncate(folder / name, size)

    assert mended("cube128", harm) == again


@pytest.mark.parametrize(("protocol", "again"), [("native", ["bert-image"]), ("cube128", ALL[1:])])
def test_what_was_noted_as_damaged_is_prepared_again(mended, workspace, protocol, again):
    def harm(folder):
        change(*((folder / "volumes/bert-image.b2nd",) if protocol == "native" else (folder / "voxels.u8", 5000)))
        damaged = [item.case for item in VoxelStore(folder).verify()]
        assert damaged == ["bert-image"]
        note_damage(workspace, damaged)

    assert mended(protocol, harm) == again


def test_rows_that_are_gone_from_the_manifest_are_prepared_again(mended):
    assert mended("native", lambda folder: keep_rows(folder, ALL[1:])) == ["anna-image"]


@pytest.mark.parametrize("protocol", ["native", "cube128"])
def test_without_a_manifest_all_are_prepared_again(mended, protocol):
    assert mended(protocol, lambda folder: (folder / MANIFEST).unlink()) == ALL


def test_a_run_that_is_stopped_while_it_mends_ends_like_a_fresh_one(source, workspace, settings, content):
    run(settings(source), workspace)
    before = content(workspace)
    for name in ("anna-image", "bert-image"):
        change(workspace.prepared / "volumes" / f"{name}.b2nd")
    note_damage(workspace, ["anna-image", "bert-image"])

    def stop(done, total, note=""):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(settings(source), workspace, progress=stop)
    assert read_record(workspace.prepared) is None
    assert run(settings(source), workspace).prepared == 3
    assert content(workspace) == before


def test_nobody_begins_to_read_what_is_known_to_be_damaged(source, workspace, settings):
    run(settings(source), workspace)
    note_damage(workspace, ["bert-image"])
    with pytest.raises(WorkspaceError, match=r"bert-image in .* is damaged") as caught:
        VoxelStore(workspace.prepared)
    assert "prepare` again" in caught.value.hint
    note_damage(workspace, [])
    assert VoxelStore(workspace.prepared).volume("bert-image").any()


def test_a_damaged_volume_is_not_replaced_under_a_reader(source, workspace, settings, content, monkeypatch):
    run(settings(source), workspace)
    store = VoxelStore(workspace.prepared)
    note_damage(workspace, ["bert-image"])
    before = content(workspace)
    monkeypatch.setattr(time, "monotonic", iter(range(0, 1000, 10)).__next__)
    with pytest.raises(WorkspaceLockedError, match="is being read"):
        run(settings(source), workspace)
    monkeypatch.undo()
    assert content(workspace) == before
    assert store.volume("anna-image").any()
    del store
    assert run(settings(source), workspace).prepared == 3
    assert not (workspace.prepared / NOTE).exists()


def test_cubes_without_a_manifest_are_not_cut_under_a_reader(source, workspace, settings, monkeypatch):
    config = settings(source, protocol="cube128", cube_size=16)
    run(config, workspace)
    store = VoxelStore(workspace.prepared)
    (workspace.prepared / MANIFEST).unlink()
    monkeypatch.setattr(time, "monotonic", iter(range(0, 1000, 10)).__next__)
    with pytest.raises(WorkspaceLockedError, match="is being read"):
        run(config, workspace)
    assert list(store.verify()) == []


def test_damage_is_not_noted_while_somebody_prepares(source, workspace, settings):
    run(settings(source), workspace)
    with Workspace(workspace.root).lock("prepared"), pytest.raises(WorkspaceLockedError):
        note_damage(workspace, ["bert-image"])
    assert not (workspace.prepared / NOTE).exists()


def test_a_manifest_that_is_no_manifest_is_told(source, workspace, settings):
    run(settings(source), workspace)
    manifest = workspace.prepared / MANIFEST
    manifest.write_bytes(b"{]\n" + manifest.read_bytes())
    with pytest.raises(WorkspaceError, match=r"manifest\.jsonl is damaged") as caught:
        run(settings(source), workspace)
    assert "clean WORK prepare" in caught.value.hint
