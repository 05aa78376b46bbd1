"""Chunked files of voxels, ``CASE.b2nd``: compressed blocks of which a crop reads only those it touches.

Chunks of 64 voxels along each axis hold blocks of 32, compressed by Zstandard at its fastest level: crops of 64 to
128 voxels decompress little that they do not need. Bytes of uint8 are not shuffled, those of uint16 labels are.
A file's bytes depend on its voxels alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WorkspaceError
from ..types import Shape3

SUFFIX = ".b2nd"
CHUNK, BLOCK = 64, 32


def compress(voxels: NDArray[Any]) -> bytes:
    """Returns the content of a chunked file.

    Args:
        voxels: ``(x, y, z)`` uint8 or uint16.

    Example:
        >>> voxels = np.zeros((100, 80, 60), dtype=np.uint8)
        >>> len(compress(voxels)) < 1000
        True
    """
    import blosc2

    shuffle = blosc2.Filter.SHUFFLE if voxels.dtype.itemsize > 1 else blosc2.Filter.NOFILTER
    # More than one thread would outlive a fork in a broken state.
    settings = blosc2.CParams(codec=blosc2.Codec.ZSTD, clevel=1, filters=[shuffle], filters_meta=[0], nthreads=1)
    stored = blosc2.asarray(
        np.ascontiguousarray(voxels),
        chunks=tuple(min(CHUNK, length) for length in voxels.shape),
        blocks=tuple(min(BLOCK, length) for length in voxels.shape),
        cparams=settings,
    )
    return bytes(stored.to_cframe())


def read_whole(path: Path, shape: Shape3, dtype: type[np.generic]) -> NDArray[Any]:
    """Decompresses a file; the result cannot be written to.

    Raises:
        WorkspaceError: The file is missing or damaged.
    """
    with _opened(path, shape, dtype) as stored:
        voxels: NDArray[Any] = stored[:]
    voxels.flags.writeable = False
    return voxels


def read_box(path: Path, shape: Shape3, dtype: type[np.generic], box: tuple[slice, slice, slice]) -> NDArray[Any]:
    """Decompresses the blocks that a box touches and returns the box, which lies inside the volume.

    Raises:
        WorkspaceError: The file is missing or damaged.
    """
    with _opened(path, shape, dtype) as stored:
        result: NDArray[Any] = stored[box]
    return result


@contextmanager
def _opened(path: Path, shape: Shape3, dtype: type[np.generic]) -> Iterator[Any]:
    import blosc2

    again = "find all damage with `med3dinsight status WORK --verify`, then run the same `prepare` again"
    try:
        # Opened for each read: an open file could not be shared with processes that are forked later.
        stored = blosc2.open(str(path), mode="r", dparams=blosc2.DParams(nthreads=1))
        if tuple(stored.shape) != tuple(shape) or stored.dtype != np.dtype(dtype):
            raise WorkspaceError(f"{path} holds {stored.shape} {stored.dtype}, its row says {tuple(shape)}", again)
        yield stored
    except FileNotFoundError:
        raise WorkspaceError(f"{path} is missing", again) from None
    except (RuntimeError, ValueError, OSError) as error:
        raise WorkspaceError(f"{path} is damaged: {' '.join(str(error).split())}", again) from None
