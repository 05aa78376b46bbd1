"""The place, unit and keys of one plane, from the header of a classic file with one slice."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..types import Vector3
from .dicom_records import Plane

#: The elements of a header that are looked at, by name.
Facts = dict[str, Any]
#: Elements that may tell apart stacks at the same place, the most telling first.
KEYS = (
    "EchoNumbers",
    "EchoTime",
    "ImageType",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "TemporalPositionIdentifier",
    "NominalPercentageOfCardiacPhase",
    "TriggerTime",
    "AcquisitionNumber",
)


def plane_of(path: Path, data: Facts) -> Plane:
    """Returns the one plane of a classic file.

    Raises:
        InputError: Its place is missing or no numbers; the message goes after the file's name.
    """
    number = data.get("InstanceNumber")
    return make_plane(
        path,
        0,
        size=(int(data["Columns"]), int(data["Rows"])),
        spacing=data.get("PixelSpacing"),
        axes=data.get("ImageOrientationPatient"),
        position=data.get("ImagePositionPatient"),
        number=None if number is None else int(number),
        rescale=(data.get("RescaleSlope"), data.get("RescaleIntercept")),
        keys={name: data.get(name) for name in KEYS},
    )


def make_plane(
    path: Path,
    frame: int,
    *,
    size: tuple[int, int],
    spacing: Any,
    axes: Any,
    position: Any,
    number: int | None,
    rescale: tuple[Any, Any],
    keys: dict[str, Any],
) -> Plane:
    """Builds the record of a plane out of what a header says.

    Raises:
        InputError: A part of its place is missing or no finite number, its directions are not perpendicular
            and of length 1, or its slope is 0; the message goes after the file's name.
    """
    between_rows, between_columns = _numbers(spacing, 2, "pixel spacing")
    direction = _numbers(axes, 6, "orientation")
    origin = _numbers(position, 3, "position")
    row: Vector3 = (direction[0], direction[1], direction[2])
    column: Vector3 = (direction[3], direction[4], direction[5])
    lengths = (math.hypot(*row), math.hypot(*column))
    skew = sum(a * b for a, b in zip(row, column, strict=True))
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(skew)) > 1e-2:
        raise InputError(f"has no orientation: {list(direction)}", "")
    if min(between_rows, between_columns) <= 0:
        raise InputError(f"has a pixel spacing of {between_rows:g} x {between_columns:g} mm", "")
    slope = _numbers([1 if rescale[0] is None else rescale[0]], 1, "rescale slope")[0]
    intercept = _numbers([0 if rescale[1] is None else rescale[1]], 1, "rescale intercept")[0]
    if slope == 0:
        raise InputError("has a rescale slope of 0", "")
    kind = keys.get("ImageType") or ()
    return Plane(
        path=path,
        frame=frame,
        size=size,
        spacing=(between_rows, between_columns),
        row=row,
        column=column,
        position=(origin[0], origin[1], origin[2]),
        number=number,
        slope=slope,
        intercept=intercept,
        keys=tuple((name, _key(keys.get(name))) for name in KEYS),
        localizer="LOCALIZER" in ([kind] if isinstance(kind, str) else list(kind)),
    )


def _numbers(value: Any, count: int, name: str) -> tuple[float, ...]:
    numbers = tuple(float(part) for part in value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if len(numbers) != count:
        raise InputError(f"is no readable CT or MR slice: its {name} is missing", "")
    if not all(math.isfinite(number) for number in numbers):
        raise InputError(f"has a {name} that is no finite number", "")
    return numbers


def _key(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return "\\".join(str(part) for part in value) if isinstance(value, Iterable) else str(value)
