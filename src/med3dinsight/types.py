"""Words shared by all rooms: planes, modalities, axes and units.

Axes
    Every voxel array in this package is in RAS+ order: ``array[x, y, z]`` with x growing to the
    patient's right, y to the front (anterior), z to the head (superior). Network inputs are
    ``(batch, channel, x, y, z)``. A plane is named by the axis it is perpendicular to.
Units
    Lengths are millimetres (names end in ``_mm``), positions along an axis that are called
    *relative* run from 0 (left, back, foot end) to 1, intensities of prepared volumes are
    ``uint8`` 0..255 standing for [0, 1].
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, Protocol, runtime_checkable

Modality = Literal["ct", "mr"]
Shape3 = tuple[int, int, int]
Vector3 = tuple[float, float, float]
Matrix4 = tuple[tuple[float, ...], ...]


class Plane(IntEnum):
    """The three anatomical planes, numbered as in the Med3DInsight authors' code (axial = 0)."""

    AXIAL = 0
    CORONAL = 1
    SAGITTAL = 2

    @property
    def axis(self) -> int:
        """Array axis perpendicular to the plane: axial 2 (z), coronal 1 (y), sagittal 0 (x)."""
        return 2 - int(self)


@runtime_checkable
class Progress(Protocol):
    """How a stage tells how far it is; called after every item or step."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Reports ``done`` of ``total`` items (both counts) with an optional short note."""


def silent(done: int, total: int, note: str = "") -> None:
    """The progress reporter that reports to nobody."""


class Watcher:
    """Who is told how jobs are getting on; this one tells nobody."""

    def begin(self, job: str) -> None:
        """A job starts to work."""

    def move(self, job: str, done: int, total: int, note: str) -> None:
        """A job has done ``done`` of ``total`` items or steps."""

    def end(self, job: str, seconds: float, done_before: bool) -> None:
        """A job is complete; it took ``seconds``, or was complete before."""
