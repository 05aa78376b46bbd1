"""Scores of a predicted label map against the true one: Dice, HD95 and NSD for each class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import SupportsFloat, SupportsIndex, TypedDict

import numpy as np
from jaxtyping import UInt8
from numpy.typing import ArrayLike

from ..errors import InputError
from .overlap import count_overlaps
from .surface_distance import hausdorff95, normalized_surface_dice, surface_distances, surface_voxels

#: The metrics of :func:`segmentation_scores`, and the direction in which each is better.
METRICS: dict[str, str] = {"dice": "higher", "hd95_mm": "lower", "nsd": "higher"}
#: Value of a segmentation that agrees with the truth everywhere.
PERFECT: dict[str, float] = {"dice": 1.0, "hd95_mm": 0.0, "nsd": 1.0}
UNITS: dict[str, str] = {"dice": "fraction, 0 to 1", "hd95_mm": "mm", "nsd": "fraction, 0 to 1"}
#: Default tolerance of the NSD in mm: about one voxel of the thicker clinical scans.
TOLERANCE_MM = 3.0

#: What a table or page must say beside the numbers.
DEFINITIONS: dict[str, str] = {
    "dice": "2 |P and T| / (|P| + |T|), voxels",
    "hd95_mm": "larger of the two directed 95th percentiles of the distances between surface voxels",
    "nsd": "share of both maps' surface voxels that are within the tolerance of the other surface, by voxel count",
    "surface": "voxels with one of six neighbours outside the class; outside the image is outside the class",
    "empty": "both maps empty: undefined, left out and counted; one empty: Dice 0, NSD 0, HD95 = image diagonal",
    "compared": "where only one arm is undefined (truth and its map are empty), it counts as perfect beside the other",
}


class ClassScores(TypedDict):
    """Scores of one class; None where it is undefined because both maps lack the class."""

    dice: float | None
    hd95_mm: float | None
    nsd: float | None
    voxels_truth: int
    voxels_prediction: int


def segmentation_scores(
    prediction: ArrayLike,
    truth: ArrayLike,
    spacing: Sequence[SupportsFloat] | np.ndarray,
    classes: Mapping[str, SupportsIndex] | Sequence[str | SupportsIndex],
    *,
    tolerance_mm: SupportsFloat = TOLERANCE_MM,
) -> dict[str | int, ClassScores]:
    """Scores every class of a label map.

    The empty-mask rule: where neither map has the class its scores are None (to be left out of a mean, and
    counted); where only one has it, Dice and NSD are 0 and HD95 is the image diagonal
    ``sqrt(sum (shape * spacing)^2)``, so that missing an organ can never improve a mean. The other definitions
    are those of :mod:`~med3dinsight.metrics.overlap` and :mod:`~med3dinsight.metrics.surface_distance`.

    Args:
        prediction: ``(x, y, z)`` label map of whole numbers.
        truth: Label map on the same grid.
        spacing: Voxel size in mm along x, y, z.
        classes: ``{name: label value}``; or names, where the first has value 1; or the values themselves.
        tolerance_mm: Distance in mm, >= 0, up to which a surface voxel counts as right in the NSD.

    Returns:
        ``{class: {"dice", "hd95_mm", "nsd", "voxels_truth", "voxels_prediction"}}``, in the order of ``classes``.

    Raises:
        InputError: The shapes differ, a map is not 3D or not of whole numbers, the voxel size or tolerance is
            no length, or there are more than 255 classes.

    Example:
        >>> truth = np.zeros((8, 8, 8), np.uint8)
        >>> truth[2:6, 2:6, 2:6] = 1
        >>> segmentation_scores(np.roll(truth, 2, axis=0), truth, (1, 1, 2.5), ["liver"])["liver"]["dice"]
        0.5
    """
    predicted, true = _label_array(prediction, "prediction"), _label_array(truth, "truth")
    limit = float(tolerance_mm)
    sizes = _check(predicted, true, spacing, limit)
    names = _class_values(classes)
    predicted, true, codes = _as_bytes(predicted, true, list(names.values()))
    overlaps = count_overlaps(predicted, true, codes)
    surfaces = surface_voxels(predicted, codes), surface_voxels(true, codes)
    diagonal = math.hypot(*(count * size for count, size in zip(true.shape, sizes, strict=True)))
    result: dict[str | int, ClassScores] = {}
    for name, code in zip(names, codes, strict=True):
        counts = overlaps[code]
        hd95: float | None = None
        nsd: float | None = None
        if counts.prediction and counts.truth:
            distances = surface_distances(surfaces[0][code], surfaces[1][code], true.shape, sizes, limit)
            hd95, nsd = hausdorff95(*distances), normalized_surface_dice(*distances, limit)
        elif counts.prediction or counts.truth:
            hd95, nsd = diagonal, 0.0
        result[name] = ClassScores(
            dice=counts.dice, hd95_mm=hd95, nsd=nsd, voxels_truth=counts.truth, voxels_prediction=counts.prediction
        )
    return result


def _label_array(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype == bool:
        return array.view(np.uint8)
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"the {name} holds {array.dtype} values", "give a label map of whole numbers")
    return array


def _check(
    prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[SupportsFloat] | np.ndarray, tolerance_mm: float
) -> tuple[float, ...]:
    if prediction.shape != truth.shape:
        shapes = f"prediction of shape {prediction.shape} and truth of shape {truth.shape}"
        raise InputError(f"cannot compare a {shapes}", "bring both to the same grid first")
    sizes = tuple(float(size) for size in spacing)
    if truth.ndim != 3 or not truth.size:
        raise InputError(f"a label map of shape {truth.shape} cannot be scored", "give arrays of (x, y, z)")
    if len(sizes) != 3 or not all(math.isfinite(size) and size > 0 for size in sizes):
        raise InputError(f"voxel size {sizes} is not three lengths in mm", "give the spacing along x, y, z")
    if not (math.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise InputError(f"tolerance {tolerance_mm} is no length in mm", "give a number of at least 0")
    return sizes


def _class_values(classes: Mapping[str, SupportsIndex] | Sequence[str | SupportsIndex]) -> dict[str | int, int]:
    if isinstance(classes, Mapping):
        return {name: int(value) for name, value in classes.items()}
    named = [
        (item, place) if isinstance(item, str) else (int(item), int(item)) for place, item in enumerate(classes, 1)
    ]
    return dict(named)


def _as_bytes(
    prediction: np.ndarray, truth: np.ndarray, values: list[int]
) -> tuple[UInt8[np.ndarray, "x y z"], UInt8[np.ndarray, "x y z"], list[int]]:
    """Brings both maps to uint8 and says which code each label value has there."""
    if prediction.dtype == truth.dtype == np.uint8 and all(0 <= value <= 255 for value in values):
        return np.ascontiguousarray(prediction), np.ascontiguousarray(truth), values
    codes = {value: code for code, value in enumerate(dict.fromkeys(values), start=1)}
    if len(codes) > 255:
        raise InputError(f"{len(codes)} classes at once", "score at most 255 classes in one call")
    coded = []
    for labels in (prediction, truth):
        array = np.zeros(labels.shape, dtype=np.uint8)
        for value, code in codes.items():
            array[labels == value] = code
        coded.append(array)
    return coded[0], coded[1], [codes[value] for value in values]
