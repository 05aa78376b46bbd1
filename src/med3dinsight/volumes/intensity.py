"""Intensities: from HU or MR units to [0, 1], by a window."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..types import Modality

#: Share of voxels at or below -500 from which on a scan is taken for CT: air in HU.
AIR_SHARE = 0.01
_AIR_HU = -500
#: Voxels that percentiles are taken from.
_SAMPLE = 1 << 21


def guess_modality(array: NDArray[Any]) -> Modality:
    """Guesses CT where at least 1 % of the voxels are as dark as air in HU, else MR.

    Example:
        >>> guess_modality(np.array([-1000.0, 40.0, 60.0]).reshape(1, 1, 3))
        'ct'
    """
    sample = _sample(array)
    return "ct" if float((sample <= _AIR_HU).mean()) >= AIR_SHARE else "mr"


def intensity_window(
    array: NDArray[Any], modality: Modality, ct_window: tuple[float, float], mr_percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Returns the intensities that become 0 and 1.

    Args:
        array: ``(x, y, z)`` in file units.
        modality: CT gets the fixed window, MR the given percentiles of the scan itself.
        ct_window: In HU.
        mr_percentiles: 0..100.

    Raises:
        InputError: The scan has the same value everywhere.
    """
    sample = _sample(array)
    if sample.min() == sample.max() and array.min() == array.max():  # nearly always the sample is enough
        raise InputError(f"all voxels have the same value, {array.min()}", "give a scan with content")
    if modality == "ct":
        return ct_window
    low, high = (float(value) for value in np.percentile(sample, mr_percentiles))
    if low == high:  # nearly all voxels are background
        low, high = float(array.min()), float(array.max())
    return low, high


def to_uint8(scaled: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Rounds [0, 1] to 0..255.

    Example:
        >>> to_uint8(np.array([0.0, 0.5, 1.0], dtype=np.float32)).tolist()
        [0, 128, 255]
    """
    levels = scaled * np.float32(255) + np.float32(0.5)
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def _sample(array: NDArray[Any]) -> NDArray[Any]:
    """Every n-th voxel along x and y, so that about two million are left; always the same ones."""
    step = max(1, round(float(np.sqrt(array.size / _SAMPLE))))
    return array[::step, ::step]
