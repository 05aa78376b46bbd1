"""Intensities: from HU or MR units to [0, 1], by a window that depends on what the values are.

Each scan gets one window, and the rule that gave it is recorded beside it:

``hu``
    CT in Hounsfield units: a fixed window, the same for every scan.
``percentile``
    MR, and CT whose values are no HU (none is below 0): two percentiles of the scan itself.
``zscore``
    MR where that is asked for: ``mean - k * std`` to ``mean + k * std``, both over the foreground, which is
    what is brighter than the mean of the whole scan.
``kept 0..255``, ``kept 0..1``, ``kept z-scores``
    Scans that were normalised before they came here: their values are mapped as they are, by the windows 0 to
    255, 0 to 1 and ``-k`` to ``k``, so that nothing is normalised twice. They are known by their values: whole
    numbers from 0 to 255 stored in one byte, or reaching exactly 0 and 255; fractions within 0 and 1; fractions
    below and above 0 with mean 0 and standard deviation 1 (each within 0.25, over all voxels or over those that
    are not 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..types import Modality

#: Share of voxels at or below -500 from which on a scan is taken for CT: air in HU.
AIR_SHARE = 0.01
_AIR_HU = -500
#: Voxels that percentiles, means and deviations are taken from.
_SAMPLE = 1 << 21
#: How far mean and standard deviation of z-scores may be from 0 and 1.
_ZSCORE_TOLERANCE = 0.25
#: An 8-bit scan that does not use its range up to here was not scaled to it.
_FULL_BYTE = 200

WindowRule = Literal["hu", "percentile", "zscore", "kept 0..255", "kept 0..1", "kept z-scores"]


@dataclass(frozen=True)
class IntensityRules:
    """How windows are chosen.

    Attributes:
        ct_window: HU that become 0 and 1.
        mr_normalisation: "percentile" or "zscore".
        mr_percentiles: 0..100.
        zscore_range: Standard deviations from the mean that become 0 and 1.
        notice_normalised: Whether scans that were normalised before are kept as they are; otherwise every scan is
            windowed by its modality, and CT is taken for HU.
    """

    ct_window: tuple[float, float] = (-1000.0, 1000.0)
    mr_normalisation: Literal["percentile", "zscore"] = "percentile"
    mr_percentiles: tuple[float, float] = (0.5, 99.5)
    zscore_range: float = 3.0
    notice_normalised: bool = True


@dataclass(frozen=True)
class Window:
    """The intensities that become 0 and 1, and the rule that they were taken by."""

    low: float
    high: float
    rule: WindowRule


def guess_modality(array: NDArray[Any]) -> Modality:
    """Guesses CT where at least 1 % of the voxels are as dark as air in HU, else MR.

    Example:
        >>> guess_modality(np.array([-1000.0, 40.0, 60.0]).reshape(1, 1, 3))
        'ct'
    """
    sample = _sample(array)
    return "ct" if float((sample <= _AIR_HU).mean()) >= AIR_SHARE else "mr"


def choose_window(array: NDArray[Any], modality: Modality, rules: IntensityRules) -> Window:
    """Returns the intensities that become 0 and 1, by the rules at the top of this file.

    Args:
        array: ``(x, y, z)`` in file units.
        modality: CT or MR.
        rules: See :class:`IntensityRules`.

    Raises:
        InputError: The scan has the same value everywhere.

    Example:
        >>> choose_window(np.array([[[-1000, 40, 60]]], dtype=np.int16), "ct", IntensityRules())
        Window(low=-1000.0, high=1000.0, rule='hu')
        >>> choose_window(np.array([[[0, 40, 255]]], dtype=np.uint8), "ct", IntensityRules())
        Window(low=0.0, high=255.0, rule='kept 0..255')
    """
    low, high = _extremes(array)
    if low == high:
        raise InputError(f"all voxels have the same value, {array.min()}", "give a scan with content")
    if rules.notice_normalised and (kept := _normalised_before(array, low, high, rules.zscore_range)) is not None:
        return kept
    if modality == "ct" and (low < 0 or not rules.notice_normalised):
        return Window(float(rules.ct_window[0]), float(rules.ct_window[1]), "hu")
    sample = _sample(array)
    low, high = float(array.min()), float(array.max())
    if modality == "mr" and rules.mr_normalisation == "zscore":
        foreground = sample[sample > sample.mean(dtype=np.float64)].astype(np.float64)
        if foreground.size and (reach := rules.zscore_range * float(foreground.std())) > 0:
            middle = float(foreground.mean())
            return Window(middle - reach, middle + reach, "zscore")
        return Window(low, high, "zscore")  # all of the foreground has one value
    least, greatest = (float(value) for value in np.percentile(sample, rules.mr_percentiles))
    if least == greatest:  # nearly all voxels are background
        least, greatest = low, high
    return Window(least, greatest, "percentile")


def _extremes(array: NDArray[Any]) -> tuple[float, float]:
    """Returns the least and the largest value; of a part of the voxels where some whole number there is below 0.

    That is enough to know HU, and going through all voxels of a large scan takes a tenth of the time of preparing it.
    """
    sample = _sample(array)
    low, high = float(sample.min()), float(sample.max())
    return (low, high) if array.dtype.kind == "i" and low < 0 < high else (float(array.min()), float(array.max()))


def _normalised_before(array: NDArray[Any], low: float, high: float, zscore_range: float) -> Window | None:
    if array.dtype.kind in "iub":
        one_byte = array.dtype.itemsize == 1 and low >= 0 and _FULL_BYTE <= high <= 255
        scaled = one_byte or (low, high) == (0, 255)
        return Window(0.0, 255.0, "kept 0..255") if scaled else None
    if low >= 0 and high <= 1:
        return Window(0.0, 1.0, "kept 0..1")
    sample = _sample(array)
    if (low, high) == (0, 255):
        return Window(0.0, 255.0, "kept 0..255")
    if low < 0 < high:
        for part in (sample, sample[sample != 0]):
            mean, deviation = float(part.mean(dtype=np.float64)), float(part.std(dtype=np.float64))
            if abs(mean) <= _ZSCORE_TOLERANCE and abs(deviation - 1) <= _ZSCORE_TOLERANCE:
                return Window(-zscore_range, zscore_range, "kept z-scores")
    return None


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
