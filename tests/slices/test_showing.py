"""A slice of a prepared volume, as a viewer shows it: checked on scans that were written and prepared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from med3dinsight.errors import ConfigError, InputError, WorkspaceError
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.run import run as prepare
from med3dinsight.records import Case
from med3dinsight.slices.framing import bar_mm
from med3dinsight.slices.showing import ShownSlice, show, show_slice
from med3dinsight.types import Plane
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_store import VoxelStore

MakeCase = Callable[..., Case]
#: Places of the phantom's balls in the patient, in mm from its middle, and their HU.
BALLS = {"R": ((30, 0, 0), 200), "A": ((0, 30, 0), 500), "S": ((0, 0, 30), 900)}


def phantom(affine: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.int16]:
    """Air with a ball at the right, one in front and one at the head of the patient, as a file of this affine."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    middle = affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3]
    hu = np.full(shape, -1000, dtype=np.int16)
    for place, value in BALLS.values():
        hu[np.linalg.norm(world - middle - place, axis=-1) <= 9] = value
    return hu


def stored_as(columns: list[list[float]]) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = np.array(columns).T
    affine[:3, 3] = (12, -7, 30)
    return affine


AFFINES = {
    "LPS": (stored_as([[-2, 0, 0], [0, -2, 0], [0, 0, 2.0]]), (44, 44, 44)),
    "swapped and flipped": (stored_as([[0, 0, -2.0], [2, 0, 0], [0, -2, 0]]), (44, 44, 44)),
    "anisotropic": (stored_as([[-1.5, 0, 0], [0, 2, 0], [0, 0, -4.0]]), (60, 44, 22)),
    "oblique": (stored_as([[-1.97, 0.35, 0], [-0.35, -1.97, 0], [0, 0, 2.0]]), (48, 48, 44)),
}


def centre_of(shown: ShownSlice, low: float, high: float) -> tuple[float, float] | None:
    """Row and column, 0..1 of the slice, of what is between two HU."""
    top, left = shown.corner
    part = shown.pixels[top : top + shown.size[0], left : left + shown.size[1]]
    grey = part if part.ndim == 2 else part[..., 0]
    hu = shown.window[0] + grey / 255 * (shown.window[1] - shown.window[0])
    rows, columns = np.nonzero((hu > low) & (hu < high))
    return None if not rows.size else (rows.mean() / shown.size[0], columns.mean() / shown.size[1])


@pytest.fixture(params=AFFINES)
def store(request: Any, tmp_path: Path) -> VoxelStore:
    affine, shape = AFFINES[request.param]
    write_nifti(tmp_path / "scans" / "anna" / "image.nii.gz", phantom(affine, shape), affine)
    workspace = Workspace(tmp_path / "work", create=True)
    prepare(PrepareConfig(source=str(tmp_path / "scans"), protocol="native", spacing_mm=2.0), workspace)
    return VoxelStore(workspace.prepared)


def test_a_ball_lies_at_the_edge_whose_letter_is_its_side(store: VoxelStore) -> None:
    (case,) = store.cases
    seen = 0
    for plane in Plane:
        shown = show_slice(store, case, plane)
        left, right, top, bottom = (letters[0] for letters in shown.marks)
        for letter, (_, hu) in BALLS.items():
            centre = centre_of(shown, hu - 60, hu + 60)
            if letter in (left, right, top, bottom):
                assert centre is not None
                row, column = centre
                assert {left: column < 0.3, right: column > 0.7, top: row < 0.3, bottom: row > 0.7}[letter]
                seen += 1
    assert seen == 6, "each ball is seen in two planes"


def test_positions_in_mm_find_the_slice_whose_ball_is_there(store: VoxelStore) -> None:
    (case,) = store.cases
    row = store.cases[case]
    middle = np.array(row.source_affine) @ [*((length - 1) / 2 for length in row.source_shape), 1]
    head = show_slice(store, case, "axial", position_mm=float(middle[2]) + 30, marks=False)
    assert head.position_mm == pytest.approx(middle[2] + 30, abs=row.spacing_mm[2] / 2 + 1e-6)
    assert centre_of(head, 840, 960) == pytest.approx((0.5, 0.5), abs=0.06)
    assert show_slice(store, case, "axial", relative=0.0).index == 0
    assert show_slice(store, case, "axial", relative=1.0).index == row.shape[2] - 1
    assert show_slice(store, case, "axial").index == row.shape[2] // 2


def test_pixels_are_square_whatever_the_voxels_are(case: MakeCase) -> None:
    """A ball of 40 mm on voxels of 1, 2 and 5 mm is as high as wide in every plane."""
    shape, spacing = (80, 40, 16), (1.0, 2.0, 5.0)
    row = case(shape, spacing_mm=spacing, affine=tuple(map(tuple, np.diag([*spacing, 1.0]))))
    places = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing, strict=True)), indexing="ij"
    )
    ball = (np.sqrt(sum(axis**2 for axis in places)) <= 20).astype(np.uint8) * 255
    for plane in Plane:
        shown = show(ball, row, plane, shape[plane.axis] // 2, marks=False)
        assert min(shown.size) == max(shown.size) >= 512
        bright = shown.pixels > 127
        height, width = (np.flatnonzero(bright.any(axis=axis)).size * shown.pixel_mm for axis in (1, 0))
        assert height == pytest.approx(40, abs=5)
        assert width == pytest.approx(height, abs=5), "to within the largest voxel"
    assert show(ball, row, Plane.AXIAL, 8, marks=False, scale=3).size == (240, 240)


def test_the_window_is_that_of_a_viewer(case: MakeCase) -> None:
    """Every stored step, on a picture without scaling: pixel = 255 (HU - low) / (high - low), clipped."""
    volume = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    shown = show(volume, case((16, 16, 1)), Plane.AXIAL, 0, window=(-160.0, 240.0), marks=False, scale=1)
    hu = -1000 + np.arange(256).reshape(16, 16).T[::-1, ::-1] / 255 * 2000
    np.testing.assert_allclose(shown.pixels, np.clip((hu + 160) / 400 * 255, 0, 255), atol=0.51)
    plain = show(volume, case((16, 16, 1)), Plane.AXIAL, 0, marks=False, scale=1)
    np.testing.assert_array_equal(plain.pixels, volume[..., 0].T[::-1, ::-1])
    assert (shown.notes, plain.notes) == ((), ())


def test_a_wider_window_than_was_prepared_is_cut_and_said_and_one_outside_refused(case: MakeCase) -> None:
    volume, row = np.zeros((8, 8, 8), dtype=np.uint8), case((8, 8, 8))
    shown = show(volume, row, Plane.AXIAL, 0, window=(-1350.0, 150.0))
    assert shown.window == (-1000.0, 150.0)
    assert shown.notes == ("case was prepared with -1000,1000: shown is -1000,150",)
    with pytest.raises(InputError, match="lies outside of -1000,1000") as caught:
        show(volume, row, Plane.AXIAL, 0, window=(1200.0, 1500.0))
    assert "prepare again" in caught.value.hint
    assert "only 10 steps" in show(volume, row, Plane.AXIAL, 0, window=(0.0, 80.0)).notes[0]
    with pytest.raises(ConfigError, match="40,40 is no window"):
        show(volume, row, Plane.AXIAL, 0, window=(40.0, 40.0))


def test_the_frame_leaves_the_slice_as_it_is(case: MakeCase) -> None:
    volume = np.random.default_rng(0).integers(0, 255, (30, 20, 10), dtype=np.uint8)
    for plane in Plane:
        framed = show(volume, case((30, 20, 10)), plane, 4)
        plain = show(volume, case((30, 20, 10)), plane, 4, marks=False)
        (top, left), (rows, columns) = framed.corner, framed.size
        inner = framed.pixels[top : top + rows, left : left + columns]
        np.testing.assert_array_equal(inner, np.repeat(plain.pixels[..., None], 3, axis=2))
        outside = framed.pixels.copy()
        outside[top : top + rows, left : left + columns] = 0
        for side in (outside[:top], outside[:, :left], outside[:, left + columns :], outside[top + rows :]):
            assert side.max() > 200, "something is written on every side"


def test_the_scale_bar_is_as_long_as_it_says(case: MakeCase) -> None:
    shown = show(np.zeros((60, 60, 60), dtype=np.uint8), case((60, 60, 60)), Plane.AXIAL, 30)
    foot = shown.pixels[shown.corner[0] + shown.size[0] :, :, 0] > 200
    longest = max(len(run) for row in foot for run in "".join("x" if dot else " " for dot in row).split())
    assert longest * shown.pixel_mm == pytest.approx(bar_mm(180.0), abs=shown.pixel_mm)
    assert bar_mm(180.0) == 50


def test_labels_are_painted_where_they_are(case: MakeCase) -> None:
    label = np.zeros((20, 20, 20), dtype=np.uint16)
    label[12:18, 2:6, :] = 300
    shown = show(
        np.full((20, 20, 20), 90, dtype=np.uint8), case((20, 20, 20)), Plane.AXIAL, 3, marks=False, label=label
    )
    coloured = (shown.pixels.max(axis=2) != shown.pixels.min(axis=2))[::-1, ::-1].T
    expected = np.kron(label[..., 3] > 0, np.ones((shown.size[0] // 20,) * 2, dtype=bool))
    np.testing.assert_array_equal(coloured, expected)


def test_what_there_is_not_is_refused_with_what_there_is(store: VoxelStore) -> None:
    (case,) = store.cases
    length = store.cases[case].shape[1]
    for mistake, message, hint in (
        ({"case": case[:-1]}, "no prepared case called", f"did you mean {case}?"),
        ({"plane": "coronel"}, "no plane called coronel", "did you mean coronal?"),
        ({"index": length}, f"has no coronal slice {length}", f"counted from 0 to {length - 1}"),
        ({"index": -1}, "has no coronal slice -1", "counted from 0"),
        ({"position_mm": 1e4}, "has no coronal slice", "counted from 0"),
        ({"relative": 1.5}, "1.5 is no relative position", "0 "),
        ({"index": 1, "relative": 0.5}, "given twice", "one of them"),
    ):
        arguments: dict[str, Any] = {"case": case, "plane": "coronal", **mistake}
        with pytest.raises(ConfigError, match=message) as caught:
            show_slice(store, **arguments)
        assert hint in caught.value.hint
    with pytest.raises(WorkspaceError, match="has no label map"):
        show_slice(store, case, "axial", labels=True)
