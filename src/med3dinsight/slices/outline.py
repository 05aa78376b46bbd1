"""Where the body is in a scan: found once a volume, on a coarse grid, without labels.

Air inside the body and air around it have the same intensity, and a crop's border may cut a lung
open. So inside and outside are told apart on the whole scan, plane by plane: what is closed in by
tissue in an axial slice is inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..records import Case
from ..types import Shape3, Vector3

#: The outline is found on voxels of about this size; finer ones cost time and change nothing in a text.
COARSE_MM = 3.0
#: Gas on one side of it, tissue on the other; in the middle between lung and muscle.
GAS_HU = -400.0
#: Parts smaller than this share of the largest (table, clothes, tubes) are not the body; arms are.
_PART_SHARE = 0.02


@dataclass(frozen=True)
class Outline:
    """The body in a prepared volume.

    Attributes:
        mask: Coarse ``(x, y, z)`` bool, True inside the body.
        step: Prepared voxels a coarse voxel along each axis.
        shape: Voxels of the prepared volume.
        low, high: Edges of the body's box along x, y, z in prepared voxels, by mass (a thin arm or
            chin does not move them); the whole volume where no body was found.
    """

    mask: NDArray[np.bool_]
    step: Shape3
    shape: Shape3
    low: Vector3
    high: Vector3

    def lookup(self, x: NDArray[np.intp], y: NDArray[np.intp], z: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Returns the mask on the grid of prepared voxel indices; False outside of the volume."""
        coarse, inside = [], []
        for index, step, length, extent in zip((x, y, z), self.step, self.shape, self.mask.shape, strict=True):
            inside.append((index >= 0) & (index < length))
            coarse.append(np.clip(index // step, 0, extent - 1))
        return self.mask[np.ix_(*coarse)] & np.logical_and.outer(np.logical_and.outer(*inside[:2]), inside[2])


def find_outline(volume: NDArray[np.uint8], case: Case) -> Outline:
    """Finds the body in a prepared volume.

    CT in HU: everything denser than -400 HU, opened to lose the table, without small parts, holes filled.
    MR, and CT that is not in HU: the same with a threshold that lies between background and tissue.

    Args:
        volume: ``(x, y, z)`` uint8.
        case: Its row; window, modality and spacing are used.
    """
    step_x, step_y, step_z = (
        max(1, min(round(COARSE_MM / spacing), length))
        for spacing, length in zip(case.spacing_mm, volume.shape, strict=True)
    )
    coarse = np.asarray(volume[step_x // 2 :: step_x, step_y // 2 :: step_y, step_z // 2 :: step_z])
    mask = _filled(_largest_parts(coarse > _threshold(coarse, case)))
    steps: Shape3 = (step_x, step_y, step_z)
    low, high = [], []
    for axis, (step, length) in enumerate(zip(steps, volume.shape, strict=True)):
        first, end = _mass_edges(mask, axis)
        low.append(float(first * step))
        high.append(float(min(end * step, length)))
    return Outline(mask, steps, case.shape, (low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _threshold(coarse: NDArray[np.uint8], case: Case) -> float:
    if case.in_hounsfield:
        low, high = case.window
        return float(max((GAS_HU - low) / (high - low) * 255.0, 0.015 * 255.0))
    lit = coarse[coarse > 8]  # background noise of magnitude images stays below
    return 0.3 * float(np.median(lit)) if lit.size else 8.0


def _largest_parts(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # A scan that ends goes on: its border must not eat into the body.
    thick = ndimage.binary_dilation(ndimage.binary_erosion(mask, border_value=1))
    parts, number = ndimage.label(thick)
    if number == 0:
        return np.zeros_like(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept = (sizes >= _PART_SHARE * sizes.max())[parts]
    return ndimage.binary_dilation(kept) & mask


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[:, 1, 1] = in_plane[1, :, 1] = True
    parts, number = ndimage.label(~mask, structure=in_plane)
    outside = np.zeros(number + 1, dtype=bool)
    for face in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        outside[face.ravel()] = True
    return mask | ~outside[parts]


def _mass_edges(mask: NDArray[np.bool_], axis: int) -> tuple[int, int]:
    others = tuple(other for other in range(3) if other != axis)
    mass = np.cumsum(mask.sum(axis=others))
    if mass[-1] == 0:
        return 0, mask.shape[axis]
    low, high = np.searchsorted(mass, [0.005 * mass[-1], 0.995 * mass[-1]])
    return int(low), int(high) + 1
