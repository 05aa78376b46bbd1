"""Taps of a transformer of patches: after which blocks its states become maps, and what it answers with them."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from ..types import Shape3
from .encoder import EncoderOutput
from .patches import as_map


def quarters(depth: int) -> tuple[int, ...]:
    """Returns the blocks, counted from 1, that end each quarter of a transformer of ``depth`` blocks.

    Example:
        >>> quarters(12)
        (3, 6, 9, 12)
    """
    return tuple(-(-depth * part // 4) for part in (1, 2, 3, 4))


def tapped(
    states: Sequence[Float[Tensor, "b n c"]], grid: Shape3, taps: Sequence[int], *, whole: bool
) -> EncoderOutput:
    """Makes the output of an encoder of patches.

    Args:
        states: Tokens after each block; the last ones are normalised, and are the encoder's tokens.
        grid: Tokens along x, y, z of the whole volume.
        taps: Blocks, counted from 1, whose states are maps of the pyramid.
        whole: Whether all tokens of the grid were encoded; of some alone no map can be made, and there is no pyramid.
    """
    maps = tuple(as_map(states[tap - 1], grid) for tap in taps) if whole else ()
    return EncoderOutput(states[-1], grid, maps)
