"""A hash of a scan's voxels that does not depend on the file they came in.

Two files of one scan (NIfTI and DICOM, int16 and float32, stored left to right or right to left) have
different bytes and one content: leakage between splits is found by it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from numpy.typing import NDArray

#: Every so many voxels along each axis enter the hash, so that it costs milliseconds: few of a large scan.
STEP, LARGE_STEP = 2, 4
#: Number of voxels from which on a scan is large.
LARGE = 1 << 24


def content_hash(array: NDArray[Any]) -> str:
    """Returns the SHA-256 of a scan's shape and of a part of its voxels, as float32.

    The part is every second voxel along each axis; of a scan of more than 16 million every fourth.

    Args:
        array: ``(x, y, z)`` in RAS+ order, any numeric type; ``read_volume(path).array``.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> import numpy as np
        >>> scan = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
        >>> content_hash(scan) == content_hash(scan.astype(np.float32))
        True
        >>> content_hash(scan) == content_hash(scan + 1)
        False
    """
    digest = hashlib.sha256(repr(tuple(int(length) for length in array.shape)).encode())
    step = LARGE_STEP if array.size >= LARGE else STEP
    part = array[::step, ::step, ::step].astype("<f4", order="F")
    part += 0  # -0.0 becomes 0.0: whole numbers know only one zero
    digest.update(part.ravel(order="F").data)
    return digest.hexdigest()
