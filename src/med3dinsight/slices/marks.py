"""Letters that say which side of the patient an edge of a picture is, by radiological convention.

A volume whose axes are tilted against the patient's gets the letters of its directions, nearest first: an axial
picture turned by 30 degrees in its plane has the front right ("AR") and no plain "A" at its top.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..types import Matrix4, Plane

#: Marks left, right, above and below a picture of each plane, as ``pixels.py`` displays it.
MARKS: dict[Plane, tuple[str, str, str, str]] = {
    Plane.AXIAL: ("R", "L", "A", "P"),
    Plane.CORONAL: ("R", "L", "S", "I"),
    Plane.SAGITTAL: ("A", "P", "S", "I"),
}
#: What the marks mean, for the legend.
MARK_WORDS = "R right, L left, A front (anterior), P back (posterior), S head end (superior), I foot end (inferior)"

#: Letters for the negative and the positive direction of the patient's x, y, z (RAS+).
_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
#: A direction gets a second letter from 15 degrees of tilt on: the sine of it.
_TILTED = 0.26


def edge_marks(affine: Matrix4, plane: Plane) -> tuple[str, str, str, str]:
    """Returns the marks left, right, above and below a picture of a volume.

    Args:
        affine: 4 x 4, voxel index of the RAS+ volume to the patient's millimetres (RAS+).
        plane: The plane of the picture.

    Example:
        >>> straight = ((2.0, 0, 0, 0), (0, 2.0, 0, 0), (0, 0, 2.0, 0), (0, 0, 0, 1))
        >>> edge_marks(straight, Plane.CORONAL)
        ('R', 'L', 'S', 'I')
    """
    across, down = (axis for axis in range(3) if axis != plane.axis)
    directions = np.asarray(affine, dtype=np.float64)[:3, :3]
    # Pictures run against the array's axes: what grows lies left and above.
    left, top = directions[:, across], directions[:, down]
    return _letters(left), _letters(-left), _letters(top), _letters(-top)


def _letters(direction: NDArray[np.float64]) -> str:
    unit = direction / np.linalg.norm(direction)
    order = sorted(range(3), key=lambda axis: -abs(unit[axis]))
    shown = [axis for axis in order if abs(unit[axis]) >= _TILTED]
    return "".join(_LETTERS[axis][int(unit[axis] > 0)] for axis in shown)
