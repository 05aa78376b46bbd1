"""A slice as a radiologist's viewer shows it, with what is known of its place in the whole scan."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..records import Case, SliceRef
from ..types import Modality, Plane
from ..workspace.voxel_store import VoxelStore
from .outline import Outline, find_outline
from .pixels import displayed, slice_pixels, square_shape, stretched

#: A picture with a smaller share of body than this shows none.
NO_BODY_SHARE = 0.01


@dataclass(frozen=True)
class SliceView:
    """What a captioner gets to see of one slice.

    Attributes:
        pixels: ``(rows, columns)`` uint8 as displayed; 0 outside of the scan.
        body: ``(rows, columns)`` bool, True inside the body's outline in the whole scan.
        modality: "ct" or "mr".
        plane: The plane the slice lies in.
        window: Intensities (HU for CT) that pixel values 0 and 255 stand for.
        spacing_mm: Height and width of a pixel.
        position: Place of the slice along its plane's axis in the whole scan, 0 (left, back or foot
            end) to 1.
        body_position: The same across the body's box instead of the scan.
        body_rows: Picture rows, as fractions of a pixel, where the whole body's box begins and ends;
            they may lie outside of the picture.
        body_columns: The same for columns.
        scan_rows: First row inside the scan and the first one after it; the others are padding.
        scan_columns: The same for columns.
        in_hounsfield: Whether ``window`` is in HU; never for MR.
        labels: ``(rows, columns)`` uint16, the label map's slice; None unless it was asked for and there is one.
        label_names: ``(label value, name)`` of the label map; empty where ``labels`` is None.
    """

    pixels: NDArray[np.uint8]
    body: NDArray[np.bool_]
    modality: Modality
    plane: Plane
    window: tuple[float, float]
    spacing_mm: tuple[float, float]
    position: float
    body_position: float
    body_rows: tuple[float, float]
    body_columns: tuple[float, float]
    scan_rows: tuple[int, int]
    scan_columns: tuple[int, int]
    in_hounsfield: bool
    labels: NDArray[np.uint16] | None = None
    label_names: tuple[tuple[int, str], ...] = ()

    def without_padding(self) -> SliceView:
        """Returns the part of the picture that lies inside the scan."""
        (top, bottom), (left, right) = self.scan_rows, self.scan_columns
        rows, columns = slice(top, bottom), slice(left, right)
        return replace(
            self,
            pixels=self.pixels[rows, columns],
            body=self.body[rows, columns],
            labels=None if self.labels is None else self.labels[rows, columns],
            body_rows=(self.body_rows[0] - top, self.body_rows[1] - top),
            body_columns=(self.body_columns[0] - left, self.body_columns[1] - left),
            scan_rows=(0, bottom - top),
            scan_columns=(0, right - left),
        )

    def with_square_pixels(self) -> SliceView:
        """Returns the same picture with pixels as high as they are wide: measures in pixels are then measures in mm."""
        shape = square_shape((self.pixels.shape[0], self.pixels.shape[1]), self.spacing_mm)
        if shape == self.pixels.shape:
            return self
        down, across = (new / old for new, old in zip(shape, self.pixels.shape, strict=True))
        body = stretched(self.body.astype(np.uint8) * 255, shape) > 127
        return replace(
            self,
            pixels=stretched(self.pixels, shape),
            body=body,
            labels=None if self.labels is None else self.labels[_nearest(self.labels.shape, shape)],
            spacing_mm=(self.spacing_mm[0] / down, self.spacing_mm[1] / across),
            body_rows=(self.body_rows[0] * down, self.body_rows[1] * down),
            body_columns=(self.body_columns[0] * across, self.body_columns[1] * across),
            scan_rows=(round(self.scan_rows[0] * down), round(self.scan_rows[1] * down)),
            scan_columns=(round(self.scan_columns[0] * across), round(self.scan_columns[1] * across)),
        )

    @property
    def shows_body(self) -> bool:
        """Whether there is more than a trace of body in the slice."""
        return bool(self.body.size and self.body.mean() >= NO_BODY_SHARE)


class SliceRenderer:
    """Renders slices of prepared volumes; keeps the outline of the last volume it was asked for.

    Args:
        store: The prepared volumes.
        labels: Show label maps too: to captioners that read them, and to nobody else.
    """

    def __init__(self, store: VoxelStore, *, labels: bool = False) -> None:
        self._store, self._labels = store, labels
        self._outline: tuple[str, Outline] | None = None

    def view(self, ref: SliceRef) -> SliceView:
        """Renders one slice; asking for slices of one volume after another is fastest."""
        case, volume = self._store.cases[ref.crop.case], self._store.volume(ref.crop.case)
        if self._outline is None or self._outline[0] != case.id:
            self._outline = (case.id, find_outline(volume, case))
        view = render(volume, case, self._outline[1], ref)
        if not self._labels or not case.has_label:
            return view
        return replace(view, labels=slice_pixels(self._store.label(case.id), ref), label_names=case.label_names)


def render(volume: NDArray[np.uint8], case: Case, outline: Outline, ref: SliceRef) -> SliceView:
    """Renders one slice of a crop.

    Args:
        volume: ``(x, y, z)`` uint8, the whole prepared volume.
        case: Its row of the manifest.
        outline: Its body.
        ref: Which slice.
    """
    axis = ref.plane.axis
    origin, extent = list(ref.crop.origin), [ref.crop.size] * 3
    origin[axis], extent[axis] = origin[axis] + ref.index, 1
    x, y, z = (np.arange(start, start + length) for start, length in zip(origin, extent, strict=True))
    body = displayed(outline.lookup(x, y, z), ref.plane, 0)
    across, down = (other for other in range(3) if other != axis)
    edges = scan_edges(case)
    return SliceView(
        pixels=slice_pixels(volume, ref),
        body=np.ascontiguousarray(body),
        modality=case.modality,
        plane=ref.plane,
        window=case.window,
        spacing_mm=(case.spacing_mm[down], case.spacing_mm[across]),
        position=_relative(origin[axis] + 0.5, *edges[axis]),
        body_position=_relative(origin[axis] + 0.5, outline.low[axis], outline.high[axis]),
        body_rows=_mirrored(outline.low[down], outline.high[down], origin[down] + ref.crop.size),
        body_columns=_mirrored(outline.low[across], outline.high[across], origin[across] + ref.crop.size),
        scan_rows=_pixel_range(_mirrored(*edges[down], origin[down] + ref.crop.size), ref.crop.size),
        scan_columns=_pixel_range(_mirrored(*edges[across], origin[across] + ref.crop.size), ref.crop.size),
        in_hounsfield=case.in_hounsfield,
    )


@functools.lru_cache(maxsize=16)
def scan_edges(case: Case) -> tuple[tuple[float, float], ...]:
    """Returns where the source scan begins and ends in the prepared volume, without padding.

    Returns:
        ``(low, high)`` along x, y, z in prepared voxels, clipped to the volume.
    """
    shape = np.array(case.source_shape, dtype=float)
    corners = np.array(np.meshgrid(*((-0.5, length - 0.5) for length in shape), indexing="ij")).reshape(3, -1)
    to_prepared = np.linalg.inv(np.array(case.affine)) @ np.array(case.source_affine)
    places = to_prepared[:3, :3] @ corners + to_prepared[:3, 3:] + 0.5
    return tuple(
        (float(max(low, 0.0)), float(min(high, length)))
        for low, high, length in zip(places.min(axis=1), places.max(axis=1), case.shape, strict=True)
    )


def png(pixels: NDArray[np.uint8], *, row_stretch: float = 1.0, scale: int = 1) -> bytes:
    """Encodes a picture as PNG.

    Args:
        pixels: ``(rows, columns)`` grey or ``(rows, columns, 3)`` RGB, uint8.
        row_stretch: Height of a pixel over its width.
        scale: Whole-number magnification.
    """
    from PIL import Image

    picture = Image.fromarray(pixels)
    size = (picture.width * scale, max(1, round(picture.height * scale * row_stretch)))
    stream = io.BytesIO()
    picture.resize(size, Image.Resampling.BICUBIC).save(stream, format="PNG")
    return stream.getvalue()


def _nearest(shape: tuple[int, ...], wanted: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp) for old, new in zip(shape, wanted, strict=True)
    )
    return rows[:, np.newaxis], columns[np.newaxis]


def _relative(place: float, low: float, high: float) -> float:
    return float(np.clip((place - low) / max(high - low, 1e-6), 0.0, 1.0))


def _mirrored(low: float, high: float, crop_end: float) -> tuple[float, float]:
    # Rows and columns run from head, front and right down: against the array's axes.
    return crop_end - high, crop_end - low


def _pixel_range(edges: tuple[float, float], size: int) -> tuple[int, int]:
    first, last = (int(np.clip(round(edge), 0, size)) for edge in edges)
    return first, last
