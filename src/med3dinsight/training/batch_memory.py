"""Memory of batches, used again: fresh memory costs the operating system more time than filling it takes."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

#: References to an array that nobody else holds: the list's, the loop's, and the argument of ``getrefcount``.
_OWN_REFERENCES = 3


class BatchMemory:
    """Gives out arrays for batches; one is given again only when nothing refers to it any more.

    A batch, a view of it, or a tensor that shares its memory is never overwritten while it is held.

    Example:
        >>> memory = BatchMemory()
        >>> first = memory.array((2, 3))
        >>> memory.array((2, 3)) is first
        False
    """

    def __init__(self) -> None:
        self._arrays: list[NDArray[np.float32]] = []

    def array(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Returns a float32 array of a shape, with whatever it held before."""
        for known in self._arrays:
            if known.shape == shape and sys.getrefcount(known) == _OWN_REFERENCES:
                return known
        # Of other shapes nothing is kept, and of this one no more than are held at once.
        self._arrays = [known for known in self._arrays if known.shape == shape]
        self._arrays.append(np.empty(shape, dtype=np.float32))
        return self._arrays[-1]
