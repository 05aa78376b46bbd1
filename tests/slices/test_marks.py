"""Marks at a picture's edges say which side of the patient they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from med3dinsight.slices.marks import MARKS, edge_marks
from med3dinsight.slices.pixels import displayed
from med3dinsight.types import Matrix4, Plane

LETTERS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


def affine_of(rotation: Rotation, spacing: tuple[float, float, float] = (0.7, 0.7, 2.5)) -> Matrix4:
    affine = np.eye(4)
    affine[:3, :3] = rotation.as_matrix() @ np.diag(spacing)
    return tuple(tuple(float(value) for value in row) for row in affine)


@pytest.mark.parametrize("plane", Plane)
def test_a_straight_volume_has_the_marks_of_the_convention(plane: Plane) -> None:
    assert edge_marks(affine_of(Rotation.identity()), plane) == MARKS[plane]


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize("degrees", [(0, 0, 30), (25, -20, 10), (-40, 0, 0)])
def test_the_first_letter_of_a_tilted_volume_is_the_nearest_and_the_others_are_true(
    plane: Plane, degrees: tuple[float, float, float]
) -> None:
    """Where the middle of an edge lies in the patient is worked out from the picture of a volume of coordinates."""
    affine = np.array(affine_of(Rotation.from_euler("xyz", degrees, degrees=True)))
    grid = np.stack(np.meshgrid(*(np.arange(9.0),) * 3, indexing="ij"), axis=-1)
    world = grid @ affine[:3, :3].T
    picture = np.stack([displayed(world[..., axis], plane, 4) for axis in range(3)], axis=-1)
    middle = picture[4, 4]
    edges = (picture[4, 0], picture[4, -1], picture[0, 4], picture[-1, 4])
    for letters, edge in zip(edge_marks(tuple(map(tuple, affine)), plane), edges, strict=True):
        direction = (edge - middle) / np.linalg.norm(edge - middle)
        shares = [float(direction @ LETTERS[letter]) for letter in letters]
        assert shares[0] == pytest.approx(np.abs(direction).max())
        assert min(shares) > np.sin(np.radians(15)), "every letter is a way that the edge really lies"
        assert len(letters) == (np.abs(direction) >= 0.26).sum()


def test_a_picture_turned_in_its_plane_shows_the_front_right_at_its_top() -> None:
    marks = edge_marks(affine_of(Rotation.from_euler("z", -30, degrees=True)), Plane.AXIAL)
    assert marks == ("RP", "LA", "AR", "PL")
