"""Distances between the surfaces of two label maps, in millimetres: HD95 and NSD.

Surface
    The voxels of a class that have a neighbour across one of their six faces that is not of the class;
    what lies outside the image is not of the class. (The border that a 6-neighbour erosion takes away,
    as in MONAI without sub-voxels.)
Distance
    Of a surface voxel to the nearest surface voxel of the other map, centre to centre. A voxel that
    is a surface voxel in both maps has distance 0 and is not looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.spatial import cKDTree

#: A distance that equals the tolerance counts as within it, whatever the last digits of the voxel size.
_SLACK_MM = 1e-6
#: Edges of the cells that bound distances before they are looked up, in mean voxel sizes.
_CELL_SIZES = (12, 3)


def surface_voxels(labels: UInt8[np.ndarray, "x y z"], values: Iterable[int]) -> dict[int, Int[np.ndarray, " n"]]:
    """Finds the surface voxels of all classes in one pass.

    Args:
        labels: Label map.
        values: Label values to look for.

    Returns:
        ``{value: indices}`` into the flattened map (C order), ascending; empty for a class that is not there.

    Example:
        >>> len(surface_voxels(np.ones((3, 3, 3), np.uint8), [1])[1])
        26
    """
    values = list(values)
    on_surface = np.zeros(labels.shape, dtype=bool)
    for axis in range(labels.ndim):
        along, surface = np.moveaxis(labels, axis, 0), np.moveaxis(on_surface, axis, 0)
        changes = along[1:] != along[:-1]
        surface[1:] |= changes
        surface[:-1] |= changes
        surface[0] = surface[-1] = True
    if 0 not in values:
        on_surface &= labels != 0
    indices = np.flatnonzero(on_surface)
    owners = labels.reshape(-1)[indices]
    return {value: indices[owners == value] for value in values}


def surface_distances(
    first: Int[np.ndarray, " n"],
    second: Int[np.ndarray, " m"],
    shape: Sequence[int],
    spacing: Sequence[float],
    tolerance_mm: float,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " m"]]:
    """Measures both directed sets of distances between two surfaces that are not empty.

    Only distances that decide :func:`hausdorff95` or :func:`normalized_surface_dice` are looked up. Each other one is
    replaced by a bound on its side of the 95th percentile and of the tolerance, so both numbers are exact.

    Args:
        first: Surface voxels as :func:`surface_voxels` gives them.
        second: Surface voxels of the other map.
        shape: Voxels of the image along each axis.
        spacing: Voxel size in mm along each axis.
        tolerance_mm: The tolerance of the NSD.

    Returns:
        Distances in mm of ``first`` to ``second`` and of ``second`` to ``first``, in the order of the voxels.
    """
    scale = np.asarray(spacing, dtype=np.float64)
    points = [np.stack(np.unravel_index(voxels, tuple(shape)), axis=1) * scale for voxels in (first, second)]
    shared = [np.isin(one, other, assume_unique=True) for one, other in ((first, second), (second, first))]
    edges = [size * float(np.prod(scale)) ** (1 / len(scale)) for size in _CELL_SIZES]
    limit = tolerance_mm + _SLACK_MM
    there = _deciding_distances(points[0], shared[0], points[1], edges, limit)
    return there, _deciding_distances(points[1], shared[1], points[0], edges, limit)


def _deciding_distances(
    points: Float[np.ndarray, "n d"],
    shared: Bool[np.ndarray, " n"],
    others: Float[np.ndarray, "m d"],
    edges: Sequence[float],
    limit: float,
) -> Float[np.ndarray, " n"]:
    """Narrows every distance between two bounds until it is known or no longer matters.

    Nobody's distance differs from that of the centre of its cell by more than half the cell's diagonal. Looking
    up points that are far from the other surface is slow, and there are far fewer cells than points.
    """
    lower, upper = np.zeros(len(points)), np.where(shared, 0.0, np.inf)
    if shared.all():
        return lower
    # Points of a grid split well at the middle: no need to pay for balancing.
    tree = cKDTree(others, leafsize=32, balanced_tree=False)
    for edge in edges:
        undecided = _undecided(lower, upper, limit)
        centres, cell_of = _cells(points[undecided], edge)
        distance = tree.query(centres)[0][cell_of]
        reach = edge * points.shape[1] ** 0.5 / 2
        lower[undecided] = np.maximum(lower[undecided], distance - reach)
        upper[undecided] = np.minimum(upper[undecided], distance + reach)
    undecided = _undecided(lower, upper, limit)
    lower[undecided] = upper[undecided] = tree.query(points[undecided])[0]
    return np.where(upper < _bounds_of_percentile(lower, upper)[0], upper, lower)


def _bounds_of_percentile(lower: Float[np.ndarray, " n"], upper: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Bounds the two order statistics between which the 95th percentile lies."""
    rank = int(0.95 * (len(lower) - 1))
    after = min(rank + 1, len(lower) - 1)
    return float(np.partition(lower, rank)[rank]), float(np.partition(upper, after)[after])


def _undecided(lower: Float[np.ndarray, " n"], upper: Float[np.ndarray, " n"], limit: float) -> Int[np.ndarray, " k"]:
    low, high = _bounds_of_percentile(lower, upper)
    matters = ((upper >= low) & (lower <= high)) | ((lower <= limit) & (upper > limit))
    return np.flatnonzero(matters & (lower < upper))


def _cells(points: Float[np.ndarray, "k d"], edge: float) -> tuple[Float[np.ndarray, "c d"], Int[np.ndarray, " k"]]:
    """Sorts points into cubic cells; returns the cells' centres and the cell of each point."""
    places = np.floor(points / edge).astype(np.int64)
    size = tuple(places.max(axis=0, initial=0) + 1)
    keys, cell_of = np.unique(np.ravel_multi_index(tuple(places.T), size), return_inverse=True)
    return (np.stack(np.unravel_index(keys, size), axis=1) + 0.5) * edge, cell_of


def hausdorff95(first_to_second: Float[np.ndarray, " n"], second_to_first: Float[np.ndarray, " m"]) -> float:
    """Computes HD95 in mm: the larger of the 95th percentiles of the two directed sets of distances.

    ``HD95 = max(P95{d(p, T)}, P95{d(t, P)})`` with linear interpolation between the order statistics, the
    definition of MONAI (``compute_hausdorff_distance(percentile=95)``) and of Maier-Hein, Reinke et al.,
    "Metrics reloaded", Nature Methods 2024. (Others take one percentile of both sets thrown together.)

    Example:
        >>> hausdorff95(np.array([0.0, 1.0]), np.array([2.0, 2.0]))
        2.0
    """
    return float(max(np.percentile(first_to_second, 95), np.percentile(second_to_first, 95)))


def normalized_surface_dice(
    first_to_second: Float[np.ndarray, " n"], second_to_first: Float[np.ndarray, " m"], tolerance_mm: float
) -> float:
    """Computes the normalised surface Dice by voxel count, 0..1.

    ``NSD = (|{p: d(p, T) <= tol}| + |{t: d(t, P) <= tol}|) / (|S_P| + |S_T|)`` (Nikolov et al., arXiv 1809.04430, with
    surface elements counted, not weighted by their area: MONAI's ``compute_surface_dice(use_subvoxels=False)``).
    By mesh area the same masks give another number.

    Example:
        >>> normalized_surface_dice(np.array([0.0, 5.0]), np.array([1.0, 1.0]), tolerance_mm=1.0)
        0.75
    """
    limit = tolerance_mm + _SLACK_MM
    within = np.count_nonzero(first_to_second <= limit) + np.count_nonzero(second_to_first <= limit)
    return float(within / (len(first_to_second) + len(second_to_first)))
