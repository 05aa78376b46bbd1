from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from med3dinsight.errors import DiskFullError, WorkspaceError
from med3dinsight.workspace.files import disk_errors, read_json, replacing, write_bytes, write_json


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "scores.json"
    write_json(path, {"a": [1, None]})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert [entry.name for entry in path.parent.iterdir()] == ["scores.json"]


def test_the_old_content_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_bytes(b"ne")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.json"]


def test_a_temporary_file_keeps_the_ending_that_writers_go_by(tmp_path: Path) -> None:
    with replacing(tmp_path / "weights.safetensors") as temporary:
        assert temporary.suffix == ".safetensors"
        assert temporary.parent == tmp_path


def test_a_written_file_has_the_rights_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_bytes(tmp_path / "index.html", b"page")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "index.html").stat().st_mode) == 0o644


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused_before_anything_is_written(tmp_path: Path, value: float) -> None:
    path = tmp_path / "scores.json"
    write_json(path, {"dice": None})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"dice": value})
    assert read_json(path) == {"dice": None}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_an_error_with_a_way_out(tmp_path: Path, code: int) -> None:
    with pytest.raises(DiskFullError, match="free some space") as caught, disk_errors(tmp_path / "x"):
        raise OSError(code, "full")
    assert caught.value.exit_code == 2


def test_a_full_disk_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    write_bytes(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.jsonl"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_place_that_may_not_be_written_is_a_users_error(tmp_path: Path, code: int) -> None:
    with pytest.raises(WorkspaceError, match="cannot write"), disk_errors(tmp_path / "x"):
        raise OSError(code, "no")


def test_a_file_where_a_folder_is_needed_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(WorkspaceError, match="taken is in the way"):
        write_bytes(tmp_path / "taken" / "x.json", b"new")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_a_users_error(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere" / "folder")
    with pytest.raises(WorkspaceError, match="cannot write"):
        write_bytes(tmp_path / "gone" / "x.json", b"new")
    with pytest.raises(WorkspaceError, match="too long"):
        write_bytes(tmp_path / ("x" * 300), b"new")


def test_a_file_that_is_missing_elsewhere_is_not_blamed_on_the_one_that_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "x.json"):
        (tmp_path / "scans" / "a.nii").read_bytes()


def test_other_system_errors_are_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="odd"), disk_errors(tmp_path):
        raise OSError(errno.EIO, "odd")


def test_json_that_is_missing_or_damaged_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="is missing"):
        read_json(tmp_path / "stage.json")
    (tmp_path / "stage.json").write_text('{"half": ')
    with pytest.raises(WorkspaceError, match=r"is damaged.*clean"):
        read_json(tmp_path / "stage.json")
