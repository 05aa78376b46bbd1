"""Words for places, counts and sizes, always from the patient's point of view.

Places are told within the box of the whole body in the scan, so "right" is the patient's right half
also in a picture that shows only a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..slices.rendering import SliceView
from ..types import Plane

MODALITY_WORDS = {"ct": "CT", "mr": "MR"}
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
#: Names of the low, middle and high third of a picture's rows and columns.
ROW_NAMES = {
    Plane.AXIAL: ("front", "", "back"),
    Plane.CORONAL: ("upper", "", "lower"),
    Plane.SAGITTAL: ("upper", "", "lower"),
}
COLUMN_NAMES = {
    Plane.AXIAL: ("right", "", "left"),
    Plane.CORONAL: ("right", "", "left"),
    Plane.SAGITTAL: ("front", "", "back"),
}
#: Edges of the thirds; the middle is a little wider than the sides look.
_FIRST, _LAST = 0.36, 0.64
#: Right and left are compared where at least this much of both is in view.
_SYMMETRY_REACH_MM = 40.0
#: The body ends on a side where less than this share of the picture's border is body.
_SKIN_BORDER_SHARE = 0.25


def count(number: int) -> str:
    """Returns a count in words, "many" above twelve.

    Example:
        >>> count(2), count(40)
        ('two', 'many')
    """
    return _COUNTS[number] if number < len(_COUNTS) else "many"


def graded(value: float, edges: Sequence[float], words: Sequence[str]) -> str:
    """Returns the word of the step that a value lies on; there is one word more than edges.

    Example:
        >>> graded(50.0, (30.0, 120.0), ("small", "mid-sized", "large"))
        'mid-sized'
    """
    return words[sum(value >= edge for edge in edges)]


def square_cm(area: float) -> str:
    """Returns an area in cm2 to two digits at most.

    Example:
        >>> square_cm(1.234), square_cm(47.2), square_cm(268.0)
        ('1 cm2', '47 cm2', '270 cm2')
    """
    return f"{max(1, round(area)) if area < 100 else round(area, -1):.0f} cm2"


Places = TypeVar("Places", float, NDArray[np.intp])


def body_fractions(view: SliceView, row: Places, column: Places) -> tuple[Any, Any]:
    """Turns places in the picture (pixels) into fractions down and across the whole body's box."""
    (top, bottom), (left, right) = view.body_rows, view.body_columns
    return (row + 0.5 - top) / max(bottom - top, 1.0), (column + 0.5 - left) / max(right - left, 1.0)


def trunk_fractions(view: SliceView, row: Places, column: Places) -> tuple[Any, Any]:
    """Returns how far across (0 right, 1 left) and deep (0 front, 1 back) in the body's box places are."""
    down, across = body_fractions(view, row, column)
    fixed = 1.0 - view.body_position
    return {Plane.AXIAL: (across, down), Plane.CORONAL: (across, fixed), Plane.SAGITTAL: (fixed, across)}[view.plane]


def place(view: SliceView, row: float, column: float) -> str:
    """Says where in the body a place of the picture is, such as "at the right front"."""
    down, across = body_fractions(view, row, column)
    vertical, horizontal = _third(down, ROW_NAMES[view.plane]), _third(across, COLUMN_NAMES[view.plane])
    if not vertical and not horizontal:
        return "in the centre"
    if view.plane is Plane.AXIAL:
        if not horizontal:
            return f"in the midline at the {vertical}"
        return f"at the {horizontal} {vertical}" if vertical else f"on the {horizontal} side"
    if vertical:
        return f"in the {vertical} {horizontal or 'middle'}"
    return f"at the {horizontal}" if view.plane is Plane.SAGITTAL else f"on the {horizontal} side"


def side(view: SliceView, row: float, column: float) -> str:
    """Says in one word which side of the body a place is on; "" for neither."""
    down, across = body_fractions(view, row, column)
    return _third(across, COLUMN_NAMES[view.plane]) or _third(down, ROW_NAMES[view.plane])


def right_half(view: SliceView) -> NDArray[np.bool_]:
    """Returns which columns of an axial or coronal picture lie in the patient's right half."""
    middle = 0.5 * (view.body_columns[0] + view.body_columns[1])
    return np.arange(view.pixels.shape[1]) + 0.5 < middle


def skin_sides(view: SliceView) -> list[str]:
    """Returns the sides on which the body ends inside the picture."""
    borders = (view.body[0], view.body[-1], view.body[:, 0], view.body[:, -1])
    names = (*ROW_NAMES[view.plane][::2], *COLUMN_NAMES[view.plane][::2])
    return [name for name, border in zip(names, borders, strict=True) if border.mean() < _SKIN_BORDER_SHARE]


def on_sides(names: list[str]) -> str:
    """Joins names of sides.

    Example:
        >>> on_sides(["front"]), on_sides(["upper", "right", "left"])
        ('on the front side', 'on the upper, right and left sides')
    """
    if len(names) == 1:
        return f"on the {names[0]} side"
    return f"on the {', '.join(names[:-1])} and {names[-1]} sides"


def outer_surface(view: SliceView) -> str:
    """Says how much of the picture is body and on which sides its surface is in view."""
    sides = skin_sides(view)
    if len(sides) == 4:
        return f"whole outline in view, {_outline_size(view)}"
    if sides:
        return f"body fills {100.0 * float(view.body.mean()):.0f} percent, skin in view {on_sides(sides)}"
    return "body fills the view"


def _outline_size(view: SliceView) -> str:
    rows, columns = np.flatnonzero(view.body.any(axis=1)), np.flatnonzero(view.body.any(axis=0))
    height = (rows[-1] - rows[0] + 1) * view.spacing_mm[0]
    width = (columns[-1] - columns[0] + 1) * view.spacing_mm[1]
    return f"{width / 10:.0f} cm wide and {height / 10:.0f} cm {'deep' if view.plane is Plane.AXIAL else 'tall'}"


def symmetry(view: SliceView, picture: NDArray[np.float32]) -> str:
    """Compares the right with the left half of the body; "" where one of them is hardly in view.

    Args:
        view: The slice.
        picture: ``(rows, columns)`` tissue on a scale of 0 to 1, 0 outside of the body.
    """
    if view.plane is Plane.SAGITTAL:
        return ""
    middle = round(0.5 * (view.body_columns[0] + view.body_columns[1]))
    reach = min(middle, view.pixels.shape[1] - middle)
    if reach * view.spacing_mm[1] < _SYMMETRY_REACH_MM:
        return ""
    right = picture[:, middle - reach : middle]
    left = picture[:, middle : middle + reach][:, ::-1]
    difference = float(np.abs(right - left).mean()) / max(float((right + left).mean()), 1e-3)
    words = ("nearly symmetric", "roughly symmetric", "right and left differ", "right and left differ much")
    return graded(difference, (0.1, 0.17, 0.28), words)


def slice_place(view: SliceView) -> str:
    """Says where a slice with body in it lies along its plane's axis."""
    if view.plane is Plane.AXIAL:
        return scan_place(view)
    if view.plane is Plane.CORONAL:
        edges: tuple[float, ...] = (0.14, 0.36, 0.5, 0.64, 0.86)
        words: tuple[str, ...] = (
            "near the back surface",
            "in the back third",
            "just behind the middle",
            "just in front of the middle",
            "in the front third",
            "near the front surface",
        )
    else:
        edges = (0.14, 0.36, 0.46, 0.54, 0.64, 0.86)
        words = (
            "at the far left",
            "through the left half",
            "just left of the midline",
            "in the midline",
            "just right of the midline",
            "through the right half",
            "at the far right",
        )
    return graded(view.body_position, edges, words) + " of the body"


def scan_place(view: SliceView) -> str:
    """Says where a slice lies in the whole scan, from its position alone."""
    low, high = {
        Plane.AXIAL: ("lower", "upper"),
        Plane.CORONAL: ("back", "front"),
        Plane.SAGITTAL: ("left", "right"),
    }[view.plane]
    nearly = {
        Plane.AXIAL: ("just below", "just above"),
        Plane.CORONAL: ("just behind", "just in front of"),
        Plane.SAGITTAL: ("just left of", "just right of"),
    }[view.plane]
    words = (
        f"at the {low} end",
        f"in the {low} third",
        f"{nearly[0]} the middle",
        "in the middle",
        f"{nearly[1]} the middle",
        f"in the {high} third",
        f"at the {high} end",
    )
    return graded(view.position, (0.08, 0.34, 0.45, 0.55, 0.66, 0.92), words) + " of the scan"


def _third(fraction: float, names: tuple[str, str, str]) -> str:
    return graded(fraction, (_FIRST, _LAST), names)


def counted(number: int, one: str, many: str = "") -> str:
    """Returns a number with its noun.

    Example:
        >>> counted(1, "slice"), counted(0, "slice"), counted(2, "text is", "texts are")
        ('1 slice', '0 slices', '2 texts are')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"
