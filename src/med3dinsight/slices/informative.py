"""The strategy ``informative``: slices that show body, none like its neighbour, so many of each plane.

Within a plane, evenly spaced slices are asked first; where one of them shows next to no body, or looks like a chosen
one beside it, the slice farthest from all chosen ones takes its place, until the quota is filled or none is left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..records import Case, Crop, SliceRef
from ..types import Plane, Shape3
from ..workspace.voxel_store import VoxelStore, cut
from .emptiness import EMPTY_LEVEL, EMPTY_SHARE
from .outline import Outline, find_outline
from .rendering import scan_edges
from .sampling import Quota, crops_of, quotas

#: A slice is compared and its body counted on about so many pixels an edge.
_EDGE = 48
#: Slices whose intensities spread less (of 255) are alike: noise does not correlate.
_FLAT = 2.0


@dataclass(frozen=True)
class Informative:
    """What makes a slice worth a question.

    Attributes:
        least_body: Least share of body in a slice's part of the scan, 0..1.
        most_alike: Two slices that follow each other in a plane correlate less than this, -1..1. At 2 mm, slices of
            CT and MR 4 to 6 mm apart correlate by .97 in axial and by .90 in coronal pictures.
        seed: Changes where the evenly spaced slices begin, and what is taken of places that are equally far.
    """

    least_body: float = 0.1
    most_alike: float = 0.97
    seed: int = 0


@dataclass
class Chosen:
    """Slices in the order of their volumes, crops, planes and indices, which can be gone through as often as needed.

    Only their indices are kept, two bytes each.

    Attributes:
        unfilled: Slices of the quotas that nothing was left for.
    """

    unfilled: int = 0
    _planes: list[tuple[Crop, Plane, NDArray[np.uint16]]] = field(default_factory=list)

    def add(self, crop: Crop, plane: Plane, indices: list[int], quota: int) -> None:
        """Takes the slices of one plane of a crop, of which so many were asked for."""
        self._planes.append((crop, plane, np.array(indices, dtype=np.uint16)))
        self.unfilled += quota - len(indices)

    def __len__(self) -> int:
        return sum(len(indices) for *_, indices in self._planes)

    def __iter__(self) -> Iterator[SliceRef]:
        return (SliceRef(crop, plane, index) for crop, plane, indices in self._planes for index in indices.tolist())


def plan_informative(
    store: VoxelStore,
    *,
    whole: bool,
    crop_size: int,
    crops_per_volume: int,
    positions_per_plane: Quota,
    rule: Informative,
) -> Chosen:
    """Chooses the informative slices of all volumes, one volume after another; those of a volume hang on no other.

    Args:
        store: The prepared volumes.
        whole: Take each (cubic) volume as its only crop instead of drawing crops.
        crop_size: Edge of a drawn crop in voxels.
        crops_per_volume: Different crops drawn a volume, as for uniform slices.
        positions_per_plane: Slices of each plane of a crop: one count, or three for axial, coronal and sagittal.
        rule: What makes a slice informative; its seed draws the crops too.

    Raises:
        ConfigError: A crop has fewer voxels along an edge than slices are asked for.
        InputError: A volume is not cubic and ``whole`` is set.
    """
    chosen = Chosen()
    for case in sorted(store.cases.values(), key=lambda case: case.id):
        volume = store.volume(case.id)
        outline = find_outline(volume, case)
        for crop in crops_of(case, whole, crop_size, crops_per_volume, rule.seed):
            box = (crop.size,) * 3
            for plane, quota in zip(Plane, quotas(positions_per_plane, crop.size), strict=True):
                indices = informative_indices(volume, case, outline, plane, quota, rule, crop.origin, box)
                chosen.add(crop, plane, indices, quota)
    return chosen


def informative_indices(
    volume: NDArray[np.uint8],
    case: Case,
    outline: Outline,
    plane: Plane,
    quota: int,
    rule: Informative,
    origin: Shape3 = (0, 0, 0),
    box: Shape3 | None = None,
) -> list[int]:
    """Chooses slices of one plane of a box.

    Args:
        volume: ``(x, y, z)`` uint8, the whole prepared volume.
        case: Its row.
        outline: Its body.
        plane: Which plane.
        quota: At most so many slices.
        rule: What makes a slice informative.
        origin: First voxel of the box; may lie outside.
        box: Edges of the box; None for the whole volume.

    Returns:
        Sorted indices within the box.
    """
    box = box or case.shape
    thumbs = _thumbs(volume, plane, origin, box)
    shown = _body_share(case, outline, plane, origin, box) >= max(rule.least_body, 1e-6)
    shown &= (thumbs > EMPTY_LEVEL).mean(axis=1) >= EMPTY_SHARE
    candidates = np.flatnonzero(shown)
    name = f"{case.id}:{origin}:{box}:{int(plane)}"
    generator = np.random.default_rng([rule.seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")])
    return _choose(thumbs, candidates, quota, rule.most_alike, generator)


def _choose(
    thumbs: NDArray[np.float32],
    candidates: NDArray[np.intp],
    quota: int,
    most_alike: float,
    generator: np.random.Generator,
) -> list[int]:
    normed = _normed(thumbs)
    planned = min(quota, len(candidates))
    begin = generator.random()
    first = [int(candidates[int((k + begin) * len(candidates) / planned)]) for k in range(planned)]
    # Less than a step, so that it only decides between places that are equally far.
    tie = np.zeros(len(thumbs))
    tie[candidates] = generator.permutation(len(candidates)) / max(1, len(candidates))
    left = np.zeros(len(thumbs), dtype=bool)
    left[candidates] = True
    distance = np.full(len(thumbs), float(len(thumbs)))
    chosen: list[int] = []
    while left.any() and len(chosen) < quota:
        index = first.pop(0) if first else int(np.where(left, distance + tie, -1).argmax())
        left[index] = False
        place = int(np.searchsorted(chosen, index))
        if all(_alike(normed, index, other) < most_alike for other in chosen[max(place - 1, 0) : place + 1]):
            chosen.insert(place, index)
            distance = np.minimum(distance, np.abs(np.arange(len(thumbs)) - index))
    return chosen


def _alike(normed: NDArray[np.float32], first: int, second: int) -> float:
    if not normed[first].any() or not normed[second].any():
        return 1.0 if normed[first].any() == normed[second].any() else 0.0
    return float(normed[first] @ normed[second])


def _normed(thumbs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pictures of mean 0 and length 1, so that a product is a correlation; flat ones become 0."""
    centred = thumbs - thumbs.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = length <= _FLAT * np.sqrt(thumbs.shape[1])
    return np.where(flat, 0, centred / np.where(flat, 1, length)).astype(np.float32)


def _thumbs(volume: NDArray[np.uint8], plane: Plane, origin: Shape3, box: Shape3) -> NDArray[np.float32]:
    """Every n-th voxel of each slice of a box, ``(slices, pixels)``."""
    steps = [1 if axis == plane.axis else max(1, -(-length // _EDGE)) for axis, length in enumerate(box)]
    voxels = cut(volume, origin, box)[:: steps[0], :: steps[1], :: steps[2]]
    return np.moveaxis(voxels, plane.axis, 0).reshape(box[plane.axis], -1).astype(np.float32)


def _body_share(case: Case, outline: Outline, plane: Plane, origin: Shape3, box: Shape3) -> NDArray[np.float64]:
    """Share of body in each slice of a box, of the part of the slice that lies inside the scan."""
    places: list[NDArray[np.intp]] = []
    for axis, (start, length) in enumerate(zip(origin, box, strict=True)):
        index = np.arange(start, start + length)
        if axis != plane.axis:
            low, high = scan_edges(case)[axis]
            inside = index[(index + 0.5 >= low) & (index + 0.5 <= high)]
            index = inside[:: max(1, -(-len(inside) // _EDGE))]
        places.append(index)
    body = outline.lookup(places[0], places[1], places[2])
    others = tuple(axis for axis in range(3) if axis != plane.axis)
    return np.asarray(body.sum(axis=others) / max(1, body.size // box[plane.axis]))
