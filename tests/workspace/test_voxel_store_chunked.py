"""The chunked store: equal to the flat one, whole after a kill, readable by several processes, damage is found."""

from __future__ import annotations

import multiprocessing
import os
import resource
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
from med3dinsight.workspace import voxel_store
from med3dinsight.workspace.voxel_chunks import compress
from med3dinsight.workspace.voxel_hash import voxel_hash
from med3dinsight.workspace.voxel_store import VoxelStore, VoxelWriter, read_manifest
from med3dinsight.workspace.voxel_store_chunked import ChunkedWriter

IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
SHAPES = [(70, 65, 33), (100, 20, 129), (5, 64, 64)]


def voxels(number: int) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, SHAPES[number % 3], dtype=np.uint8)


def label(number: int) -> NDArray[np.uint16] | None:
    """Every second case has a label map."""
    return (voxels(number) > 128).astype(np.uint16) * 300 if number % 2 == 0 else None


def row(number: int) -> Case:
    labels = label(number)
    return Case(
        id=f"case_{number}",
        subject=f"person_{number}",
        image=f"scans/{number}.nii.gz",
        modality="ct",
        modality_guessed=False,
        shape=SHAPES[number % 3],
        spacing_mm=(1.0, 1.5, 2.0),
        affine=IDENTITY,
        source_shape=SHAPES[number % 3],
        source_affine=IDENTITY,
        source_sha256="0" * 64,
        voxel_sha256=voxel_hash(voxels(number)),
        window=(-1000.0, 1000.0),
        offset=0,
        has_label=False,
        label_sha256="" if labels is None else voxel_hash(labels),
    )


def append(writer: ChunkedWriter, number: int) -> None:
    labels = label(number)
    writer.append(row(number), compress(voxels(number)), None if labels is None else compress(labels))


def write(folder: Path, numbers: range) -> Path:
    writer = ChunkedWriter(folder)
    for number in numbers:
        append(writer, number)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("store"), range(3))


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> VoxelStore:
    place = tmp_path_factory.mktemp("flat")
    writer = VoxelWriter(place)
    for number in range(3):
        writer.append(row(number), voxels(number), label(number))
    return VoxelStore(place)


@given(data=st.data())
def test_volumes_labels_and_crops_equal_those_of_the_flat_store(
    folder: Path, flat: VoxelStore, data: st.DataObject
) -> None:
    store, case = VoxelStore(folder), f"case_{data.draw(st.integers(0, 2))}"
    shape = store.cases[case].shape
    origin = tuple(data.draw(st.integers(-70, length + 5)) for length in shape)
    crop = Crop(case, (origin[0], origin[1], origin[2]), data.draw(st.integers(1, 96)))
    np.testing.assert_array_equal(store.crop(crop), flat.crop(crop))
    if store.cases[case].has_label:
        np.testing.assert_array_equal(store.label_crop(crop), flat.label_crop(crop))
        np.testing.assert_array_equal(store.label(case), flat.label(case))
        assert store.label(case).dtype == np.uint16
    np.testing.assert_array_equal(store.volume(case), flat.volume(case))
    np.testing.assert_array_equal(store.crop(crop), flat.crop(crop))  # now out of the volume that is kept


def test_what_is_read_cannot_be_changed(folder: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        VoxelStore(folder).volume("case_0")[0, 0, 0] = 1


def test_a_case_without_label_map_says_so(folder: Path) -> None:
    for read in (lambda store: store.label("case_1"), lambda store: store.label_crop(Crop("case_1", (0, 0, 0), 4))):
        with pytest.raises(WorkspaceError, match="case_1 has no label map"):
            read(VoxelStore(folder))


def test_a_crop_does_not_decompress_the_volume(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voxel_store, "read_whole", lambda *_: pytest.fail("the whole volume was read"))
    np.testing.assert_array_equal(VoxelStore(folder).crop(Crop("case_1", (3, 4, 5), 9)), voxels(1)[3:12, 4:13, 5:14])


def test_the_volumes_that_are_kept_have_a_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voxel_store, "KEPT_BYTES", 300_000)
    store = VoxelStore(folder)
    for _ in range(2):
        for case in store.cases:
            store.volume(case)
            assert sum(array.nbytes for array in store._kept.values()) <= 300_000
    assert store.volume("case_2") is store.volume("case_2")


def test_a_file_depends_on_its_voxels_alone() -> None:
    assert compress(voxels(0)) == compress(np.asfortranarray(voxels(0)))
    assert len(compress(np.zeros((200, 200, 200), dtype=np.uint8))) < 5000


def read_all(folder: Path, rounds: int, store: VoxelStore | None = None) -> None:
    """Ends the process with code 3 where a volume is not what was written."""
    store = store or VoxelStore(folder)
    for _ in range(rounds):
        for number in range(3):
            crop = store.crop(Crop(f"case_{number}", (1, 2, 3), 20))
            if not np.array_equal(crop[:4, :18, :17], voxels(number)[1:5, 2:20, 3:20]):
                os._exit(3)
            if not np.array_equal(store.volume(f"case_{number}"), voxels(number)):
                os._exit(3)


def test_processes_that_are_forked_read_through_the_store_of_their_parent(folder: Path) -> None:
    store = VoxelStore(folder)
    read_all(folder, 1, store)
    children = []
    for _ in range(3):
        if (child := os.fork()) == 0:
            read_all(folder, 3, store)
            os._exit(0)
        children.append(child)
    read_all(folder, 3, store)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]


READER = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("cases", sys.argv[1])
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
cases.read_all(Path(sys.argv[2]), 2)
"""


def test_processes_that_are_started_anew_read_at_once(
    folder: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    readers = [child(READER, __file__, folder) for _ in range(2)]
    assert [reader.wait() for reader in readers] == [0, 0]
    assert multiprocessing.active_children() == []


def test_damage_is_named(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    assert list(VoxelStore(tmp_path).verify()) == []
    for name, place in (("volumes/case_1.b2nd", -5000), ("labels/case_2.b2nd", -300)):
        content = bytearray((tmp_path / name).read_bytes())
        content[place] ^= 0xFF
        (tmp_path / name).write_bytes(content)
    damage = list(VoxelStore(tmp_path).verify())
    assert [item.case for item in damage] == ["case_1", "case_2"]
    os.truncate(tmp_path / "volumes/case_1.b2nd", 100)
    (tmp_path / "labels/case_0.b2nd").unlink()
    all_damage = list(VoxelStore(tmp_path, check_sizes=False).verify())
    assert [item.case for item in all_damage] == ["case_0", "case_1", "case_2"]
    assert "case_0.b2nd is missing" in all_damage[0].reason
    assert "case_1.b2nd" in damage[0].reason
    assert "case_2.b2nd" in damage[1].reason


def test_damage_of_the_flat_store_is_named(tmp_path: Path) -> None:
    writer = VoxelWriter(tmp_path)
    for number in range(3):
        writer.append(row(number), voxels(number), label(number))
    assert list(VoxelStore(tmp_path).verify()) == []
    with (tmp_path / "labels.u16").open("r+b") as handle:
        handle.seek(50)
        handle.write(b"\xff\xff")
    assert [(item.case, "labels" in item.reason) for item in VoxelStore(tmp_path).verify()] == [("case_0", True)]


@pytest.mark.parametrize("name", ["volumes/case_0.b2nd", "labels/case_2.b2nd"])
def test_a_file_that_is_missing_or_cut_is_named_when_the_store_is_opened(tmp_path: Path, name: str) -> None:
    write(tmp_path, range(3))
    os.truncate(tmp_path / name, 100)
    with pytest.raises(WorkspaceError, match=f"{Path(name).name} has 100 bytes"):
        VoxelStore(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(WorkspaceError, match=f"{Path(name).name} is missing"):
        VoxelStore(tmp_path)


def test_a_flat_file_that_is_missing_or_cut_is_named(tmp_path: Path) -> None:
    VoxelWriter(tmp_path).append(row(0), voxels(0), None)
    os.truncate(tmp_path / "voxels.u8", 10)
    with pytest.raises(WorkspaceError, match=r"voxels\.u8 has 10 bytes; at least"):
        VoxelStore(tmp_path)
    (tmp_path / "voxels.u8").unlink()
    with pytest.raises(WorkspaceError, match=r"voxels\.u8 is missing"):
        VoxelStore(tmp_path)


def test_files_without_a_row_are_removed(tmp_path: Path) -> None:
    write(tmp_path / "store", range(2))
    expected = content(tmp_path / "store")
    for name in ("volumes/torn.b2nd", "volumes/.case_9.b2nd.0123.b2nd", "labels/case_1.b2nd"):
        (tmp_path / "store" / name).write_bytes(b"x")
    ChunkedWriter(tmp_path / "store")
    assert content(tmp_path / "store") == expected


ENDLESS = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("cases", sys.argv[1])
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
writer = cases.ChunkedWriter(Path(sys.argv[2]))
for number in range(len(writer.cases), 400):
    cases.append(writer, number)
    print(number, flush=True)
"""


def test_after_kill_9_the_finished_store_equals_an_undisturbed_one(
    tmp_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    told = -1
    for pause in (0.0, 0.0137, 0.0071):
        process = child(ENDLESS, __file__, tmp_path / "killed")
        assert process.stdout is not None
        told = int(process.stdout.readline())
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        told = max([told, *map(int, process.stdout.read().split())])
        process.wait()
        assert len(read_manifest(tmp_path / "killed")) >= told + 1, "a volume that was reported is lost"
        assert list(VoxelStore(tmp_path / "killed").verify()) == []
    total = told + 3
    write(tmp_path / "killed", range(len(read_manifest(tmp_path / "killed")), total))
    write(tmp_path / "undisturbed", range(total))
    assert content(tmp_path / "killed") == content(tmp_path / "undisturbed")


def test_a_disk_that_fills_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "store", range(2))
    before = content(tmp_path / "store")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = ChunkedWriter(tmp_path / "store")
    packed = compress(voxels(1)), compress(np.asarray(voxels(1), dtype=np.uint16))
    try:
        for limit in (len(packed[0]) // 2, len(packed[0]) + 1):  # while the volume is written, while its labels are
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
            with pytest.raises(DiskFullError, match="no space left"):
                writer.append(replace(row(1), id="case_9"), *packed)
            assert content(tmp_path / "store") == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    append(writer, 2)
    assert content(tmp_path / "store") == content(write(tmp_path / "undisturbed", range(3)))
