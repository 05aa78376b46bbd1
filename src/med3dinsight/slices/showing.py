"""Any plane and index of a prepared volume as a radiologist's viewer shows it.

Pixels are square whatever the voxels are, the window is that of the viewer, letters in the frame say which side of
the patient is which. Prepared volumes have 256 steps of intensity between the two ends of their own window: a
narrower window spreads fewer steps over the greys, and a wider one has nothing more to show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, InputError, suggest
from ..records import Case
from ..types import Plane
from ..workspace.voxel_store import VoxelStore
from .framing import framed
from .marks import edge_marks
from .overlay import painted
from .pixels import displayed
from .rendering import png

Window = tuple[float, float]
#: Without a scale, a picture's longer edge gets at least so many pixels.
LEAST_EDGE = 512
#: A window with fewer steps of stored intensity shows bands, which is said.
FEW_STEPS = 32


@dataclass(frozen=True)
class ShownSlice:
    """A slice as shown.

    Attributes:
        pixels: ``(rows, columns, 3)`` uint8, the frame included; ``(rows, columns)`` grey without frame and labels.
        corner: Row and column where the slice itself begins.
        size: Rows and columns of the slice itself.
        pixel_mm: Edge of a pixel.
        case, plane, index: Which slice.
        position_mm: The patient's coordinate (RAS+) of the slice's middle along the plane's axis.
        marks: Letters left, right, above and below.
        window: Intensities (HU for CT) that are shown black and white.
        notes: What is not as asked for, or limits what can be seen.
    """

    pixels: NDArray[np.uint8]
    corner: tuple[int, int]
    size: tuple[int, int]
    pixel_mm: float
    case: str
    plane: Plane
    index: int
    position_mm: float
    marks: tuple[str, str, str, str]
    window: Window
    notes: tuple[str, ...] = ()

    def png(self) -> bytes:
        """Returns the picture as PNG."""
        return png(self.pixels)


def show_slice(
    store: VoxelStore,
    case: str,
    plane: Plane | str,
    *,
    index: int | None = None,
    position_mm: float | None = None,
    relative: float | None = None,
    window: Window | None = None,
    marks: bool = True,
    labels: bool = False,
    scale: int | None = None,
) -> ShownSlice:
    """Shows one slice of a prepared volume.

    Args:
        store: The prepared volumes.
        case: Id of the case.
        plane: Axial, coronal or sagittal.
        index: Voxel index along the plane's axis, counted from the left, the back or the foot end.
        position_mm: The patient's coordinate (RAS+) along that axis instead; the nearest slice is shown.
        relative: 0 (left, back or foot end) to 1 instead; without any of the three the middle is shown.
        window: Intensities (HU for CT) that become black and white; None for those of the prepared volume.
        marks: Draw the frame with marks of orientation, window and scale bar.
        labels: Lay the label map over the slice.
        scale: Pixels an edge of the smaller voxel side; None makes the longer edge at least 512 pixels.

    Raises:
        ConfigError: There is no such case, plane or slice, or the window has no width.
        InputError: The window lies outside of what was prepared.
        WorkspaceError: Labels are asked for, and the case has none.
    """
    row = find_case(store, case)
    plane = find_plane(plane)
    number = _index(row, plane, index, position_mm, relative)
    label = store.label(case) if labels else None
    return show(store.volume(case), row, plane, number, window=window, marks=marks, label=label, scale=scale)


def show(
    volume: NDArray[np.uint8],
    case: Case,
    plane: Plane,
    index: int,
    window: Window | None = None,
    marks: bool = True,
    label: NDArray[np.uint16] | None = None,
    scale: int | None = None,
) -> ShownSlice:
    """Shows one slice of a volume that is read already, as :func:`show_slice` does.

    Args:
        volume: ``(x, y, z)`` uint8.
        case: Its row.
        plane: Which plane.
        index: Which slice.
        window: As in :func:`show_slice`.
        marks: As in :func:`show_slice`.
        label: ``(x, y, z)`` label map, or None.
        scale: As in :func:`show_slice`.
    """
    shown, notes = _window(case, window)
    across, down = (axis for axis in range(3) if axis != plane.axis)
    stored = displayed(volume, plane, index)
    height_mm, width_mm = stored.shape[0] * case.spacing_mm[down], stored.shape[1] * case.spacing_mm[across]
    finest = min(case.spacing_mm[down], case.spacing_mm[across])
    scale = scale or max(1, int(np.ceil(LEAST_EDGE * finest / max(height_mm, width_mm))))
    pixel_mm = finest / scale
    size = max(1, round(height_mm / pixel_mm)), max(1, round(width_mm / pixel_mm))
    picture = _grey(stored, case.window, shown, size)
    if label is not None:
        picture = painted(picture, displayed(label, plane, index), (size[1], size[0]), fill=0.35)
    position, letters, corner = _position_mm(case, plane, index), edge_marks(case.affine, plane), (0, 0)
    if marks:
        axis, low, high = "zyx"[int(plane)], *shown
        unit = " HU" if case.modality == "ct" else ""
        lines = (
            f"{plane.name.lower()} {index} of 0-{volume.shape[plane.axis] - 1}, {axis} {position:.1f} mm",
            f"W {high - low:.4g} L {(high + low) / 2:.4g}{unit}",
        )
        picture, corner = framed(picture, letters, lines, pixel_mm)
    return ShownSlice(picture, corner, size, pixel_mm, case.id, plane, index, position, letters, shown, notes)


def find_case(store: VoxelStore, case: str) -> Case:
    """Returns the row of a case.

    Raises:
        ConfigError: There is none of that name.
    """
    if case not in store.cases:
        raise ConfigError(f"no prepared case called {case}", suggest(case, store.cases))
    return store.cases[case]


def find_plane(name: Plane | str) -> Plane:
    """Returns a plane by its name.

    Raises:
        ConfigError: There is no such plane.
    """
    if isinstance(name, Plane):
        return name
    known = {plane.name.lower(): plane for plane in Plane}
    if name.lower() not in known:
        raise ConfigError(f"no plane called {name}", suggest(name.lower(), known))
    return known[name.lower()]


def check_index(case: Case, plane: Plane, index: int) -> int:
    """Returns an index that a volume has.

    Raises:
        ConfigError: It has no such slice.
    """
    length = case.shape[plane.axis]
    if not 0 <= index < length:
        name = plane.name.lower()
        raise ConfigError(
            f"{case.id} has no {name} slice {index}", f"its {length} {name} slices are counted from 0 to {length - 1}"
        )
    return index


def _index(case: Case, plane: Plane, index: int | None, position_mm: float | None, relative: float | None) -> int:
    given = [value for value in (index, position_mm, relative) if value is not None]
    if len(given) > 1:
        raise ConfigError("a slice is given twice", "give index, position_mm or relative, one of them")
    length = case.shape[plane.axis]
    if index is not None:
        return check_index(case, plane, index)
    if position_mm is not None:
        first, step = _position_mm(case, plane, 0), case.affine[plane.axis][plane.axis]
        return check_index(case, plane, round((position_mm - first) / step))
    place = 0.5 if relative is None else relative
    if not 0 <= place <= 1:
        raise ConfigError(f"{place} is no relative position", "give 0 (left, back or foot end) to 1")
    return min(int(place * length), length - 1)


def _position_mm(case: Case, plane: Plane, index: int) -> float:
    voxel = [(length - 1) / 2 for length in case.shape]
    voxel[plane.axis] = index
    return float(np.dot(case.affine[plane.axis][:3], voxel) + case.affine[plane.axis][3])


def _window(case: Case, asked: Window | None) -> tuple[Window, tuple[str, ...]]:
    """Returns the window that can be shown, and what is to be said of it."""
    low, high = case.window
    if asked is None:
        return (low, high), ()
    if not (np.isfinite(asked).all() and asked[0] < asked[1]):
        raise ConfigError(f"{asked[0]:g},{asked[1]:g} is no window", "give two numbers, the lower one first")
    first, last = max(asked[0], low), min(asked[1], high)
    if first >= last:
        raise InputError(
            f"the window {asked[0]:g},{asked[1]:g} lies outside of {low:g},{high:g}, which {case.id} was prepared with",
            "choose one inside, or prepare again with another prepare.ct_window or prepare.mr_percentiles",
        )
    notes = []
    if (first, last) != asked:
        notes.append(f"{case.id} was prepared with {low:g},{high:g}: shown is {first:g},{last:g}")
    if (steps := (last - first) / (high - low) * 255) < FEW_STEPS:
        notes.append(f"{case.id} has only {steps:.0f} steps of intensity between {first:g} and {last:g}")
    return (first, last), tuple(notes)


def _grey(stored: NDArray[np.uint8], prepared: Window, shown: Window, size: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    # Scaled before it is windowed: the steps of a narrow window would be scaled up as bands.
    picture = Image.fromarray(np.ascontiguousarray(stored, dtype=np.float32))
    levels = np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BICUBIC))
    values = prepared[0] + levels * ((prepared[1] - prepared[0]) / 255)
    scaled = (values - shown[0]) * (255 / (shown[1] - shown[0]))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
