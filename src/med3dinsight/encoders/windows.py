"""How a grid of tokens is cut into the boxes that attend to themselves.

Swin (Liu et al. 2021) pads the grid to whole windows, rolls it by the shift, attends inside each window and hides
from each other the parts of a window that the roll brought together. The same sums without the waste: what is hidden
from each other *is* apart, so a shifted window at the border is up to eight smaller boxes, none of which needs a mask
or a roll; and padding needs no queries, and all its keys are alike, so that they are one key (see ``tiled_attention``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

import numpy as np
import numpy.typing as npt

from ..types import Shape3

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Segments:
    """Equal neighbouring pieces of one axis.

    Attributes:
        start: First token of the first piece.
        count: How many pieces.
        length: Tokens of a piece.
        padding: Padded tokens that belong to a piece and follow its tokens.
        offset: Where a piece begins inside its window.
    """

    start: int
    count: int
    length: int
    padding: int
    offset: int


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of one shape, which are computed together.

    Attributes:
        count: How many boxes a volume has.
        places: For each of a box's tokens its row in the table of relative positions.
        padding: The same for the padded tokens of a box; empty where the box is inside the grid.
    """

    count: int
    places: Indices
    padding: Indices


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """A grid cut into boxes. Its arrays are numpy's: a tensor kept from an inference mode could not train later.

    Attributes:
        order: For each place in the order of boxes, the token of the grid in C order.
        boxes: The groups, in the order in which their tokens lie; tokens of a box lie together.
    """

    order: Indices
    boxes: tuple[Boxes, ...]

    @cached_property
    def identical(self) -> bool:
        """Whether the order of boxes is that of the grid."""
        return bool((self.order == np.arange(len(self.order))).all())


def axis_segments(size: int, window: int, shift: int) -> tuple[Segments, ...]:
    """Cuts one axis of ``size`` tokens into windows of ``window`` shifted by ``shift``; the last may be padded.

    Example:
        >>> [(s.start, s.count, s.length) for s in axis_segments(16, 7, 3)]
        [(0, 1, 3), (3, 1, 7), (10, 1, 6)]
    """
    padded = -(-size // window) * window
    if shift == 0:
        cuts = [(start, start + window, 0) for start in range(0, padded, window)]
    else:
        middle = range(shift, padded - window + shift, window)
        last = padded - window + shift
        cuts = [(0, shift, window - shift), *((start, start + window, 0) for start in middle), (last, padded, 0)]
    pieces = [
        (start, min(end, size) - start, max(end - size, 0), offset) for start, end, offset in cuts if start < size
    ]
    runs = [list(run) for _, run in itertools.groupby(pieces, key=lambda piece: piece[1:])]
    return tuple(Segments(run[0][0], len(run), *run[0][1:]) for run in runs)


@lru_cache(maxsize=256)
def window_plan(grid: Shape3, window: Shape3, shift: Shape3, frame: Shape3) -> WindowPlan:
    """Cuts a grid into boxes.

    Args:
        grid: Tokens along each axis.
        window: Edges of a window, none longer than its axis unless the axis is to be padded.
        shift: How far windows are shifted along each axis.
        frame: The window in whose C order the table of relative positions numbers its rows.

    Returns:
        The plan, the same object for the same arguments.
    """
    tokens = np.arange(prod(grid), dtype=np.int64).reshape(grid)
    order, boxes = [], []
    for sides in itertools.product(*(axis_segments(*axis) for axis in zip(grid, window, shift, strict=True))):
        part = tokens[tuple(slice(side.start, side.start + side.count * side.length) for side in sides)]
        cut = part.reshape([n for side in sides for n in (side.count, side.length)]).transpose(0, 2, 4, 1, 3, 5)
        order.append(cut.ravel())
        boxes.append(Boxes(prod(side.count for side in sides), *_places(sides, frame)))
    return WindowPlan(np.concatenate(order), tuple(boxes))


@lru_cache(maxsize=256)
def row_order(plan: WindowPlan, batch: int) -> tuple[Indices, Indices]:
    """Returns ``plan.order`` for the rows of a batch, and its inverse.

    Each group's boxes of all volumes lie together, volume after volume, so that they are computed together.
    """
    first = np.arange(batch, dtype=np.int64)[:, None] * len(plan.order)
    ends = np.cumsum([group.count * len(group.places) for group in plan.boxes])
    order = np.concatenate([(first + part).ravel() for part in np.split(plan.order, ends[:-1])])
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return order, inverse


@lru_cache(maxsize=256)
def pair_places(plan: WindowPlan, rows: int) -> Indices:
    """Returns where in a table of ``rows`` x ``rows`` pairs each group finds its own, group after group.

    Of each group first the pairs of its tokens in C order, then those of its tokens with its padding.
    """
    parts = []
    for boxes in plan.boxes:
        parts += [(boxes.places[:, None] * rows + others).ravel() for others in (boxes.places, boxes.padding)]
    return np.concatenate(parts)


def _places(sides: tuple[Segments, ...], frame: Shape3) -> Iterator[Indices]:
    """Rows of a box's tokens and of its padding."""
    axes = [side.offset + np.arange(side.length + side.padding, dtype=np.int64) for side in sides]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    rows = (x * frame[1] + y) * frame[2] + z
    inside = np.zeros(rows.shape, dtype=bool)
    inside[tuple(slice(side.length) for side in sides)] = True
    return iter((rows[inside], rows[~inside]))
