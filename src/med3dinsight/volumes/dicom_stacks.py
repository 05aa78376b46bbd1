"""One series, several stacks: other orientations, echoes, time points or acquisitions under one UID.

A series is taken apart by geometry (orientation, size, spacing) and, only where slices lie at the same
place, by the first header elements of :data:`.dicom_planes.KEYS` that part them. What none of them
parts stays together and is refused as doubled by the checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..errors import InputError
from ..types import Vector3
from .dicom_planes import KEYS
from .dicom_records import Plane

#: Slices this near along their normal lie at one place.
SAME_PLACE_MM = 0.01
_VIEWS = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class Stack:
    """Parallel planes of one size.

    Attributes:
        planes: In order along their normal.
        what: What tells this stack from the others of its series; empty where it is the only one.
        localizer: Its image type says that it is a localizer (scout).
    """

    planes: tuple[Plane, ...]
    what: str
    localizer: bool


def normal_of(plane: Plane) -> Vector3:
    """Returns the direction perpendicular to a plane: row x column."""
    (a, b, c), (d, e, f) = plane.row, plane.column
    return (b * f - c * e, c * d - a * f, a * e - b * d)


def along(plane: Plane, direction: Vector3) -> float:
    """Returns the place of a plane along a direction, in mm."""
    return sum(a * b for a, b in zip(plane.position, direction, strict=True))


def split(planes: Sequence[Plane], name: str) -> list[Stack]:
    """Takes the planes of one series apart into stacks; localizers come last.

    Raises:
        InputError: One slice differs from all others in orientation, size or spacing, or all differ.
    """
    stacks: list[Stack] = []
    for localizer in (False, True):
        group = [plane for plane in planes if plane.localizer is localizer]
        alike = _by_geometry(group)
        if len(alike) > 1:
            _check_lone(alike, name, localizer)
        for same in sorted(alike, key=_geometry_order):
            what = _geometry_name(same[0]) if len(alike) > 1 else ""
            stacks += [Stack(tuple(_sorted(part)), text, localizer) for part, text in _apart(same, what)]
    return stacks


def _sorted(planes: Sequence[Plane]) -> list[Plane]:
    normal = normal_of(planes[0])
    return sorted(planes, key=lambda plane: (along(plane, normal), plane.path.name, plane.frame))


def _by_geometry(planes: Sequence[Plane]) -> list[list[Plane]]:
    groups: list[list[Plane]] = []
    for plane in planes:
        for group in groups:
            if same_grid(plane, group[0]) and same_orientation(plane, group[0]):
                group.append(plane)
                break
        else:
            groups.append([plane])
    return groups


def same_grid(one: Plane, other: Plane) -> bool:
    """Says whether two planes have one size and pixel spacing, to 1e-4 of it."""
    near = (abs(a - b) <= 1e-4 * b for a, b in zip(one.spacing, other.spacing, strict=True))
    return one.size == other.size and all(near)


def same_orientation(one: Plane, other: Plane) -> bool:
    """Says whether two planes are parallel and turned alike, to 1e-3."""
    if (one.row, one.column) == (other.row, other.column):
        return True
    ours, theirs = (*one.row, *one.column), (*other.row, *other.column)
    return all(abs(a - b) <= 1e-3 for a, b in zip(ours, theirs, strict=True))


def _check_lone(groups: Sequence[Sequence[Plane]], name: str, localizer: bool) -> None:
    most = max(groups, key=len)
    if len(most) < 2:
        if localizer:
            return
        raise InputError(f"{name} holds {len(groups)} slices in as many planes", "give a stack of parallel slices")
    for group in groups:
        if len(group) < 2 and not localizer:
            what = "another orientation" if same_grid(group[0], most[0]) else "another size or pixel spacing"
            raise InputError(
                f"{name}: {group[0].path.name} has {what} than the rest", "remove that file, or export the series again"
            )


def _geometry_order(planes: Sequence[Plane]) -> tuple[int, tuple[int, int], Vector3, Vector3]:
    first = planes[0]
    return (-_view(first), first.size, first.row, first.column)


def _geometry_name(plane: Plane) -> str:
    return f"{_VIEWS[_view(plane)]} {plane.size[0]} x {plane.size[1]}"


def _view(plane: Plane) -> int:
    normal = normal_of(plane)
    return max(range(3), key=lambda axis: abs(normal[axis]))


def _doubles(planes: Sequence[Plane]) -> int:
    """Counts the planes beyond the first at each place along the normal."""
    normal = normal_of(planes[0])
    places = sorted(along(plane, normal) for plane in planes)
    return sum(after - before <= SAME_PLACE_MM for before, after in pairwise(places))


def _apart(planes: Sequence[Plane], what: str) -> list[tuple[Sequence[Plane], str]]:
    doubles = _doubles(planes)
    for index in range(len(KEYS) if doubles else 0):
        groups: dict[str, list[Plane]] = {}
        for plane in planes:
            groups.setdefault(plane.keys[index][1], []).append(plane)
        # A key that differs from slice to slice, or elsewhere than where slices are doubled, parts nothing.
        if len(groups) < 2 or min(map(len, groups.values())) < 2:
            continue
        if sum(map(_doubles, groups.values())) < doubles:
            parts: list[tuple[Sequence[Plane], str]] = []
            for value in sorted(groups, key=_value_order):
                text = f"{what}, {KEYS[index]} {value}" if what else f"{KEYS[index]} {value}"
                parts += _apart(groups[value], text)
            return parts
    return [(planes, what)]


def _value_order(value: str) -> tuple[float, str]:
    try:
        return (float(value), value)
    except ValueError:
        return (0.0, value)
