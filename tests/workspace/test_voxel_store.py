from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from med3dinsight.errors import DiskFullError, WorkspaceError
from med3dinsight.records import Case, Crop
from med3dinsight.workspace.voxel_store import LABELS, MANIFEST, VOXELS, VoxelStore, VoxelWriter, cut, read_manifest

IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def row(number: int) -> Case:
    shape = (3 + number, 4, 5)
    return Case(
        id=f"case_{number}",
        subject=f"person_{number}",
        image=f"scans/{number}.nii.gz",
        modality="ct",
        modality_guessed=False,
        shape=shape,
        spacing_mm=(1.0, 1.5, 2.0),
        affine=IDENTITY,
        source_shape=shape,
        source_affine=IDENTITY,
        source_sha256="0" * 64,
        voxel_sha256=f"{number:064d}",
        window=(-1000.0, 1000.0),
        offset=-1,
        has_label=False,
        label_names=((1, "liver"),),
    )


def voxels(number: int) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, row(number).shape, dtype=np.uint8)


def label(number: int) -> NDArray[np.uint16] | None:
    """Every second case has a label map."""
    return np.full(row(number).shape, 300 + number, dtype=np.uint16) if number % 2 == 0 else None


def write(folder: Path, numbers: range) -> None:
    writer = VoxelWriter(folder)
    for number in numbers:
        writer.append(row(number), voxels(number), label(number))


def content(folder: Path) -> tuple[bytes, ...]:
    return tuple((folder / name).read_bytes() for name in (VOXELS, LABELS, MANIFEST))


def test_volumes_come_back_as_written(tmp_path: Path) -> None:
    write(tmp_path, range(4))
    store = VoxelStore(tmp_path)
    assert list(store.cases) == ["case_0", "case_1", "case_2", "case_3"]
    for number in range(4):
        np.testing.assert_array_equal(store.volume(f"case_{number}"), voxels(number))
        case = store.cases[f"case_{number}"]
        assert replace(case, offset=-1, has_label=False) == row(number)
        assert case.has_label == (number % 2 == 0)
    np.testing.assert_array_equal(store.label("case_2"), label(2))


def test_a_case_without_label_map_says_so(tmp_path: Path) -> None:
    write(tmp_path, range(2))
    with pytest.raises(WorkspaceError, match="case_1 has no label map"):
        VoxelStore(tmp_path).label("case_1")


def test_an_array_in_any_memory_order_is_stored_alike(tmp_path: Path) -> None:
    writer = VoxelWriter(tmp_path)
    writer.append(row(0), np.asfortranarray(voxels(0)), None)
    np.testing.assert_array_equal(VoxelStore(tmp_path).volume("case_0"), voxels(0))


def test_what_is_read_cannot_be_changed(tmp_path: Path) -> None:
    write(tmp_path, range(1))
    with pytest.raises(ValueError, match="read-only"):
        VoxelStore(tmp_path).volume("case_0")[0, 0, 0] = 1


def test_an_empty_store_names_the_verb_to_run(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="med3dinsight prepare"):
        VoxelStore(tmp_path)


def test_a_manifest_cut_anywhere_keeps_its_whole_lines_and_can_be_finished(tmp_path: Path) -> None:
    write(tmp_path / "whole", range(3))
    expected = content(tmp_path / "whole")
    manifest = expected[2]
    second_end = manifest.rfind(b"\n", 0, len(manifest) - 1) + 1
    for size in (second_end, second_end + 1, (second_end + len(manifest)) // 2, len(manifest) - 1):
        folder = tmp_path / f"cut_{size}"
        write(folder, range(3))
        os.truncate(folder / MANIFEST, size)
        assert [case.id for case in read_manifest(folder)] == ["case_0", "case_1"]
        writer = VoxelWriter(folder)
        assert (folder / VOXELS).stat().st_size == writer.end
        assert (folder / LABELS).stat().st_size == writer.end * 2
        writer.append(row(2), voxels(2), label(2))
        assert content(folder) == expected


def test_labels_of_a_torn_volume_do_not_show_through_in_one_without_labels(tmp_path: Path) -> None:
    write(tmp_path, range(1))
    os.truncate(tmp_path / MANIFEST, 0)
    writer = VoxelWriter(tmp_path)
    writer.append(row(0), voxels(0), None)
    assert not any((tmp_path / LABELS).read_bytes())


ENDLESS = """
import sys, importlib.util
from pathlib import Path
spec = importlib.util.spec_from_file_location("cases", sys.argv[1])
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
writer = cases.VoxelWriter(Path(sys.argv[2]))
for number in range(len(writer.cases), 400):
    writer.append(cases.row(number), cases.voxels(number), cases.label(number))
    print(number, flush=True)
"""


def test_after_kill_9_the_finished_store_equals_an_undisturbed_one(
    tmp_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    folder = tmp_path / "killed"
    told = -1
    for pause in (0.0, 0.0137, 0.0071):
        process = child(ENDLESS, __file__, folder)
        assert process.stdout is not None
        told = int(process.stdout.readline())
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        told = max([told, *map(int, process.stdout.read().split())])
        process.wait()
        kept = read_manifest(folder)
        assert len(kept) >= told + 1, "a volume that was reported is lost"
        store = VoxelStore(folder)
        for number in range(len(kept)):
            np.testing.assert_array_equal(store.volume(f"case_{number}"), voxels(number))
    total = told + 3
    write(folder, range(len(read_manifest(folder)), total))
    write(tmp_path / "undisturbed", range(total))
    assert content(folder) == content(tmp_path / "undisturbed")


@pytest.mark.parametrize("failing_call", [0, 1, 2])
def test_a_full_disk_leaves_the_store_as_it_was_and_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_call: int
) -> None:
    folder = tmp_path / "store"
    write(folder, range(2))
    before = content(folder)
    writer = VoxelWriter(folder)
    calls = 0
    real = os.fsync

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls - 1 == failing_call:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        writer.append(row(2), voxels(2), label(2))
    assert content(folder) == before
    writer.append(row(2), voxels(2), label(2))
    write(tmp_path / "undisturbed", range(3))
    assert content(folder) == content(tmp_path / "undisturbed")


@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    origin=st.tuples(*[st.integers(-7, 7)] * 3),
    size=st.tuples(*[st.integers(1, 6)] * 3),
)
def test_a_cut_equals_a_slice_of_the_padded_volume(
    shape: tuple[int, int, int], origin: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    array = np.arange(1, np.prod(shape) + 1, dtype=np.uint16).reshape(shape)
    padded = np.pad(array, 16)
    region = tuple(slice(16 + start, 16 + start + length) for start, length in zip(origin, size, strict=True))
    np.testing.assert_array_equal(cut(array, origin, size), padded[region])


def test_a_crop_beyond_the_volume_is_padded_with_zeros(tmp_path: Path) -> None:
    write(tmp_path, range(1))
    crop = VoxelStore(tmp_path).crop(Crop("case_0", (-1, 0, 0), 6))
    assert crop.shape == (6, 6, 6)
    assert not crop[0].any()
    np.testing.assert_array_equal(crop[1:4, :4, :5], voxels(0))
