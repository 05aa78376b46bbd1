"""A whole volume as the input of a classifier: a cube of one size."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..volumes.resampling import cube_grid, resample
from ..workspace.voxel_store import cut


def whole_volume(voxels: NDArray[np.uint8], size: int, how: Literal["resize", "crop"]) -> NDArray[np.uint8]:
    """Brings a prepared volume to a cube.

    Args:
        voxels: ``(x, y, z)`` uint8 with voxels of the same length along all axes.
        size: Edge of the cube in voxels. A volume that has it already, as under the protocol cube128, is taken whole.
        how: "resize" pads to a cube and resizes it in one step, antialiased, so that nothing is lost but detail;
            "crop" takes ``size`` voxels around the centre, padded with 0, so that voxels keep their millimetres.

    Returns:
        ``(size, size, size)`` uint8.

    Raises:
        InputError: The volume is thinner than one voxel of the resized cube.

    Example:
        >>> whole_volume(np.full((8, 8, 4), 200, np.uint8), 4, "resize")[0, 0].tolist()
        [0, 200, 200, 0]
    """
    if voxels.shape == (size,) * 3:
        return voxels
    x, y, z = voxels.shape
    if how == "crop":
        middle = cut(voxels, ((x - size) // 2, (y - size) // 2, (z - size) // 2), (size,) * 3)
        return middle.copy()  # who keeps a view keeps the whole volume
    if min(voxels.shape) * size < max(voxels.shape):
        raise InputError(
            f"a volume of {x} x {y} x {z} voxels is thinner than one voxel of a cube of {size}",
            "set finetune.volume_input = crop, or a larger finetune.patch_size",
        )
    return np.rint(resample(voxels, cube_grid((x, y, z), (1.0, 1.0, 1.0), size))).astype(np.uint8)
