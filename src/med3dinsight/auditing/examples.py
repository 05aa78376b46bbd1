"""The texts that the page shows: the worst, and some at random, each with its picture."""

from __future__ import annotations

import base64
import hashlib
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from ..records import SliceRef
from ..slices.marks import MARKS
from ..slices.rendering import SliceRenderer, png
from ..types import Plane

#: Characters of a text that are shown; the rest is counted.
SHOWN_CHARACTERS = 600
#: Pixels of a picture's longer side, about.
_PICTURE_PIXELS = 320
_ENDS = {Plane.AXIAL: ("foot", "head end"), Plane.CORONAL: ("back", "front"), Plane.SAGITTAL: ("left", "right")}


@dataclass(frozen=True)
class Chosen:
    """A text that is to be shown, and what is wrong with it."""

    ref: SliceRef
    text: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """A text as the page shows it: ``picture`` is a data URI, ``marks`` are left, right, above and below it."""

    picture: str
    marks: tuple[str, str, str, str]
    alt: str
    case: str
    place: str
    text: str
    left_out: int
    reasons: tuple[str, ...]


class Chooser:
    """Keeps the worst texts and a random sample of all, in memory for these alone.

    Args:
        amount: How many of each.
        seed: Of the sample, and of the choice among texts that are equally bad.
    """

    def __init__(self, amount: int, seed: int) -> None:
        self._amount, self._seed = amount, seed
        self._worst: list[tuple[int, str, Chosen]] = []
        self._random: list[tuple[str, Chosen]] = []

    def add(self, chosen: Chosen, badness: int) -> None:
        """Considers a text; ``badness`` 0 is never among the worst."""
        # A hash of the key draws the same sample in whatever order the texts come.
        lot = hashlib.blake2b(f"{self._seed}:{chosen.ref.key}".encode(), digest_size=8).hexdigest()
        if badness:
            _keep(self._worst, (badness, lot, chosen), self._amount)
        _keep(self._random, (lot, chosen), self._amount)

    @property
    def worst(self) -> list[Chosen]:
        """The worst, worst first."""
        return [entry[-1] for entry in sorted(self._worst, reverse=True)]

    @property
    def random(self) -> list[Chosen]:
        """The sample."""
        return [entry[-1] for entry in sorted(self._random)]


def _keep(heap: list, entry: tuple, amount: int) -> None:  # type: ignore[type-arg]
    if len(heap) < amount:
        heapq.heappush(heap, entry)
    elif heap and entry > heap[0]:
        heapq.heapreplace(heap, entry)


def draw_examples(renderer: SliceRenderer, chosen: Sequence[Chosen]) -> list[Example]:
    """Draws the pictures of texts, in their order; volumes are read one after another."""
    drawn: dict[str, Example] = {}
    for one in sorted(chosen, key=lambda item: item.ref):
        drawn[one.ref.key] = _example(renderer, one)
    return [drawn[one.ref.key] for one in chosen]


def _example(renderer: SliceRenderer, chosen: Chosen) -> Example:
    ref = chosen.ref
    view = renderer.view(ref)
    # A crop may lie beside the scan altogether; then all of it is padding.
    inside = view.without_padding()
    shown = inside if inside.pixels.size else view
    stretch = shown.spacing_mm[0] / shown.spacing_mm[1]
    scale = max(1, _PICTURE_PIXELS // max(1, *shown.pixels.shape))
    content = png(shown.pixels, row_stretch=stretch, scale=scale)
    low, high = _ENDS[view.plane]
    place = f"{view.plane.name.lower()}, {100 * view.position:.0f} % of the way from {low} to {high}"
    return Example(
        "data:image/png;base64," + base64.b64encode(content).decode(),
        MARKS[view.plane],
        f"{view.modality.upper()} slice of {ref.crop.case}: {place}",
        ref.crop.case,
        f"{view.modality.upper()}, {place}",
        chosen.text[:SHOWN_CHARACTERS],
        max(0, len(chosen.text) - SHOWN_CHARACTERS),
        chosen.reasons,
    )
