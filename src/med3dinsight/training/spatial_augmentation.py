"""nnU-Net's random rotation, scaling and mirroring, as a box cut out of a volume at once.

Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation", Nature
Methods 2021, supplement; probabilities and ranges of nnU-Net 2 for isotropic crops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from ..types import Shape3, Vector3

ROTATION_PROBABILITY, ROTATION_DEGREES = 0.2, 30.0
SCALING_PROBABILITY, SCALES = 0.2, (0.7, 1.4)
MIRRORING_PROBABILITY = 0.5

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Placement:
    """How a crop lies in its volume.

    Attributes:
        degrees: Rotations about x, y, z in millimetres, one after another; None for no rotation.
        scale: Volume voxels a crop voxel, along all axes; above 1 the anatomy becomes smaller.
        mirrored: Along which axes the crop is mirrored.
    """

    degrees: Vector3 | None
    scale: float
    mirrored: tuple[bool, bool, bool]

    def matrix(self, spacing_mm: Vector3) -> Float[np.ndarray, "3 3"] | None:
        """Steps in the crop -> steps in the volume, in voxels, before mirroring; None where they are the same.

        Args:
            spacing_mm: Voxel size along x, y, z; a body that is turned keeps its shape whatever they are.
        """
        if self.degrees is None and self.scale == 1:
            return None
        turned = (
            np.eye(3) if self.degrees is None else Rotation.from_euler("xyz", self.degrees, degrees=True).as_matrix()
        )
        edges = np.array(spacing_mm) / min(spacing_mm)
        return np.asarray(self.scale * turned * edges / edges[:, None])


def draw_placement(rng: np.random.Generator) -> Placement:
    """Draws a rotation (probability .2, up to 30 degrees about each axis), a scale (.2, from .7 to 1.4) and mirroring.

    Each axis is mirrored with probability .5.
    """
    turned, scaled = rng.random() < ROTATION_PROBABILITY, rng.random() < SCALING_PROBABILITY
    x, y, z = rng.uniform(-ROTATION_DEGREES, ROTATION_DEGREES, 3).tolist()
    scale = float(rng.uniform(*SCALES))
    left, back, down = (rng.random(3) < MIRRORING_PROBABILITY).tolist()
    return Placement((x, y, z) if turned else None, scale if scaled else 1.0, (left, back, down))


def placed_crop(
    read: Callable[[Shape3, Shape3], NDArray[Scalar]],
    origin: Shape3,
    size: int,
    placement: Placement,
    *,
    linear: bool,
    spacing_mm: Vector3 = (1.0, 1.0, 1.0),
) -> NDArray[Scalar]:
    """Cuts a crop that is turned and scaled about its middle; voxels outside the volume are 0.

    Only the box that the crop reaches is looked at, so that, unlike after turning a crop that was cut before, corners
    are filled from the volume.

    Args:
        read: Reads a box of the volume by its origin and size, 0 outside the volume, as
            :func:`~med3dinsight.workspace.voxel_store.cut` does of an array.
        origin: First voxel of the crop if it were not turned.
        size: Edge of the crop in voxels.
        placement: How it lies.
        linear: Trilinear interpolation; otherwise the nearest voxel, for label maps.
        spacing_mm: Voxel size of the volume.

    Returns:
        ``(size, size, size)`` of the volume's type.
    """
    matrix = placement.matrix(spacing_mm)
    if matrix is None:
        crop = read(origin, (size,) * 3)
    else:
        half = (size - 1) / 2
        middle = np.array(origin) + half
        reach = np.abs(matrix).sum(axis=1) * half + 1
        low = np.floor(middle - reach).astype(int)
        length = np.ceil(middle + reach).astype(int) + 1 - low
        box = read(_shape(low), _shape(length))
        offset = middle - low - matrix @ np.full(3, half)
        crop = affine_transform(
            box, matrix, offset, output_shape=(size,) * 3, order=1 if linear else 0, mode="constant", prefilter=False
        )
    x, y, z = (slice(None, None, -1 if flip else 1) for flip in placement.mirrored)
    return np.ascontiguousarray(crop[x, y, z])


def _shape(values: NDArray[np.int64]) -> Shape3:
    x, y, z = (int(value) for value in values)
    return x, y, z
