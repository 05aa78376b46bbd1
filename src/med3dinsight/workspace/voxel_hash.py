"""The hash of prepared voxels: how the store knows that it is what was written."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def voxel_hash(voxels: NDArray[Any]) -> str:
    """Returns the SHA-256 of an array's shape and of its bytes in C order.

    Args:
        voxels: ``(x, y, z)`` of the type that is stored: uint8 voxels or uint16 labels.

    Example:
        >>> voxel_hash(np.zeros((2, 3, 4), dtype=np.uint8))[:8]
        '71e5517f'
    """
    digest = hashlib.sha256(repr(tuple(int(length) for length in voxels.shape)).encode())
    digest.update(np.ascontiguousarray(voxels).data)
    return digest.hexdigest()
