"""Whether the slices of one stack make a whole volume: even gaps, no slice twice or missing, one line.

A missing slice changes the spacing and nothing else says so: gaps between slices and instance
numbers are therefore checked before a voxel is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .dicom_records import Plane
from .dicom_stacks import along, normal_of

#: Gaps between slices may differ from their median by this share; real series have 1.4 %.
GAP_TOLERANCE = 0.03
#: From this multiple of the median on, a gap is a missing slice.
MISSING_GAP = 1.5
#: A slice may lie off the even place that the affine gives it by this share of the shortest voxel edge.
PLACE_TOLERANCE = 0.5
#: Scanners tilt their gantry by up to 30 degrees.
MAX_TILT_DEGREES = 31.0
#: Gaps and tilts below these are rounding in the header, not worth a note.
_NOTED_SHARE = 1e-3
_NOTED_DEGREES = 0.1


def check_stack(planes: Sequence[Plane], name: str, whole_series: bool) -> tuple[str, ...]:
    """Checks the gaps of a stack, in order along its normal.

    Args:
        planes: At least two.
        name: Of the series, for the messages.
        whole_series: The stack is all of its series, so that a hole in the instance numbers is a missing slice.

    Returns:
        What is accepted and worth knowing: gaps that differ a little, a tilted gantry.

    Raises:
        InputError: A slice is missing, doubled, or lies elsewhere than in line with the others.
    """
    normal = normal_of(planes[0])
    gaps = np.diff([along(plane, normal) for plane in planes])
    median = float(np.median(gaps))
    if median < 1e-3 or gaps.min() < 0.5 * median:
        where = int(gaps.argmin())
        both = f"{_label(planes[where])} and {_label(planes[where + 1])}"
        raise InputError(
            f"{name} has two slices at one position: {both}", "remove the doubled slices, or the second series"
        )
    if gaps.max() >= MISSING_GAP * median:
        where = int(gaps.argmax())
        between = f"between {_label(planes[where])} and {_label(planes[where + 1])}"
        raise InputError(
            f"{name} lacks a slice {between}: {gaps.max():.2f} mm, elsewhere {median:.2f} mm", "export the whole series"
        )
    uneven = float(np.abs(gaps / median - 1).max())
    if uneven > GAP_TOLERANCE:
        raise InputError(
            f"{name} has slices {gaps.min():.2f} to {gaps.max():.2f} mm apart", "resample the series evenly first"
        )
    if whole_series:
        _check_numbers(planes, name)
    notes = [f"gaps between slices differ by {100 * uneven:.1f} %"] if uneven > _NOTED_SHARE else []
    return (*notes, *_check_line(planes, name))


def affine_lps(planes: Sequence[Plane]) -> NDArray[np.float64]:
    """Returns the 4 x 4 affine of ``(column, row, slice)`` to LPS millimetres, of at least two planes in order.

    Its third axis goes from the first slice to the last: where the gantry was tilted, it is not perpendicular
    to the slices, and every voxel is still where it was scanned.
    """
    first, last = planes[0], planes[-1]
    affine = np.eye(4)
    affine[:3, 0] = np.array(first.row) * first.spacing[1]  # along a row: the distance between columns
    affine[:3, 1] = np.array(first.column) * first.spacing[0]
    affine[:3, 2] = (np.array(last.position) - np.array(first.position)) / (len(planes) - 1)
    affine[:3, 3] = first.position
    return affine


def _check_line(planes: Sequence[Plane], name: str) -> list[str]:
    affine = affine_lps(planes)
    step = affine[:3, 2]
    cosine = float(step @ np.array(normal_of(planes[0])) / np.linalg.norm(step))
    tilt = float(np.degrees(np.arccos(min(1.0, cosine))))
    if tilt > MAX_TILT_DEGREES:
        raise InputError(
            f"{name} is sheared by {tilt:.0f} degrees: its slices do not lie on top of each other",
            "export it again, or resample it to a straight volume first",
        )
    even = affine[:3, 3] + np.arange(len(planes))[:, None] * step
    off = np.linalg.norm(np.array([plane.position for plane in planes]) - even, axis=1)
    limit = PLACE_TOLERANCE * min(*planes[0].spacing, float(np.linalg.norm(step)))
    if off.max() > limit:
        worst = int(off.argmax())
        raise InputError(
            f"{name}: {_label(planes[worst])} lies {off[worst]:.2f} mm off the line of the other slices",
            "resample the series evenly first",
        )
    return [f"slices are sheared by {tilt:.1f} degrees (tilted gantry)"] if tilt > _NOTED_DEGREES else []


def _check_numbers(planes: Sequence[Plane], name: str) -> None:
    numbers = sorted(plane.number for plane in planes if plane.number is not None)
    steps = np.diff(np.array(numbers, dtype=np.float64))
    if len(numbers) == len(planes) and (steps > 0).all() and steps.max() != steps.min():
        before = numbers[int(steps.argmax())]
        raise InputError(f"{name} lacks the slice after instance number {before}", "export the whole series")


def _label(plane: Plane) -> str:
    return f"{plane.path.name} frame {plane.frame + 1}" if plane.frame else plane.path.name
