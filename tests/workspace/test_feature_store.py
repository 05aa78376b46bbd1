from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from med3dinsight.errors import DiskFullError, WorkspaceError
from med3dinsight.workspace import feature_store
from med3dinsight.workspace.feature_store import CHUNK_ROWS, fill, is_complete, read

ROWS, WIDTH = 2 * CHUNK_ROWS + 37, 6
FEATURES = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)


class Tower:
    """Computes features, remembers which rows it was asked for, and can be stopped before a row."""

    def __init__(self, *, sign: int = 1, stop_at: int | None = None) -> None:
        self.asked: list[tuple[int, int]] = []
        self.sign = sign
        self.stop_at = stop_at

    def __call__(self, chunks: Iterable[tuple[int, int]]) -> Iterator[NDArray[np.float32]]:
        for first, last in chunks:
            if self.stop_at is not None and last > self.stop_at:
                raise KeyboardInterrupt
            self.asked.append((first, last))
            yield self.sign * FEATURES[first:last]


def test_features_come_back_in_half_precision(tmp_path: Path) -> None:
    path = tmp_path / "minilm-lite" / "image.npy"
    fill(path, ROWS, WIDTH, "a", Tower())
    assert is_complete(path, "a")
    np.testing.assert_array_equal(read(path), FEATURES.astype(np.float16))
    np.testing.assert_array_equal(np.load(path), FEATURES.astype(np.float16))


def test_progress_is_told_after_every_chunk(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    fill(tmp_path / "image.npy", ROWS, WIDTH, "a", Tower(), lambda done, total, note="": told.append((done, total)))
    assert told == [(0, ROWS), (CHUNK_ROWS, ROWS), (2 * CHUNK_ROWS, ROWS), (ROWS, ROWS)]


def test_a_stopped_run_goes_on_at_its_chunk_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    path, whole = tmp_path / "image.npy", tmp_path / "whole.npy"
    fill(whole, ROWS, WIDTH, "a", Tower())
    with pytest.raises(KeyboardInterrupt):
        fill(path, ROWS, WIDTH, "a", Tower(stop_at=CHUNK_ROWS))
    assert not is_complete(path, "a")
    with pytest.raises(WorkspaceError, match=f"holds {CHUNK_ROWS} of {ROWS} rows"):
        read(path)
    second = Tower()
    fill(path, ROWS, WIDTH, "a", second)
    assert second.asked == [(CHUNK_ROWS, 2 * CHUNK_ROWS), (2 * CHUNK_ROWS, ROWS)]
    assert path.read_bytes() == whole.read_bytes()


def test_a_complete_file_is_not_computed_again(tmp_path: Path) -> None:
    path = tmp_path / "image.npy"
    fill(path, ROWS, WIDTH, "a", Tower())
    again = Tower()
    fill(path, ROWS, WIDTH, "a", again)
    assert again.asked == []


@pytest.mark.parametrize(("rows", "identity"), [(ROWS, "b"), (ROWS - 1, "a")])
def test_a_file_of_something_else_is_started_anew(tmp_path: Path, rows: int, identity: str) -> None:
    path = tmp_path / "image.npy"
    fill(path, ROWS, WIDTH, "a", Tower())
    fill(path, rows, WIDTH, identity, Tower(sign=-1))
    assert not is_complete(path, "a") or rows != ROWS
    np.testing.assert_array_equal(read(path), -FEATURES[:rows].astype(np.float16))


def test_a_kill_while_starting_anew_never_leaves_rows_that_are_gone_called_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.npy"
    fill(path, ROWS, WIDTH, "a", Tower())

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(feature_store, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            fill(path, ROWS, WIDTH, "b", Tower(sign=-1))
    assert not is_complete(path, "a")
    fill(path, ROWS, WIDTH, "a", Tower())
    np.testing.assert_array_equal(read(path), FEATURES.astype(np.float16))


def test_a_full_disk_stops_with_an_error_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.npy"
    with pytest.raises(KeyboardInterrupt):
        fill(path, ROWS, WIDTH, "a", Tower(stop_at=CHUNK_ROWS))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFullError):
            fill(path, ROWS, WIDTH, "a", Tower())
    last = Tower()
    fill(path, ROWS, WIDTH, "a", last)
    assert last.asked[0] == (CHUNK_ROWS, 2 * CHUNK_ROWS)
    np.testing.assert_array_equal(read(path), FEATURES.astype(np.float16))


def test_missing_features_name_the_verb_to_run(tmp_path: Path) -> None:
    assert not is_complete(tmp_path / "image.npy", "a")
    with pytest.raises(WorkspaceError, match="med3dinsight embed"):
        read(tmp_path / "image.npy")
