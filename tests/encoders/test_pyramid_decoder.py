from __future__ import annotations

import pytest
import torch

from med3dinsight.encoders.encoder import EncoderOutput
from med3dinsight.encoders.pyramid_decoder import PyramidDecoder

HIERARCHICAL = ((12, 48, 96), ((16, 16, 24), (8, 8, 12), (4, 4, 6)))
EQUAL = ((96,) * 4, ((4, 4, 6),) * 4)
EMPTY = ((), ())
SIZE, GRID = (32, 32, 48), (4, 4, 6)


def encoded(widths: tuple[int, ...], edges: tuple[tuple[int, int, int], ...]) -> EncoderOutput:
    maps = tuple(torch.randn(2, width, *edge) for width, edge in zip(widths, edges, strict=True))
    return EncoderOutput(torch.randn(2, 96, 96), GRID, maps)


@pytest.mark.parametrize(("widths", "edges"), [HIERARCHICAL, EQUAL, EMPTY], ids=["hierarchical", "equal", "empty"])
def test_any_pyramid_is_decoded_to_full_size_and_every_parameter_gets_a_gradient(widths, edges) -> None:
    torch.manual_seed(0)
    decoder = PyramidDecoder(96, widths, 5)
    outputs = decoder(encoded(widths, edges), SIZE)
    assert outputs.shape == (2, 5, *SIZE)
    outputs.square().sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in decoder.parameters())


@pytest.mark.parametrize(("widths", "edges"), [HIERARCHICAL, EQUAL], ids=["hierarchical", "equal"])
@pytest.mark.parametrize("level", [0, -1])
def test_every_level_of_the_pyramid_is_read_where_it_lies(widths, edges, level: int) -> None:
    torch.manual_seed(0)
    decoder = PyramidDecoder(96, widths, 1).eval()
    whole = encoded(widths, edges)
    changed = [feature.clone() for feature in whole.pyramid]
    changed[level][:, :, 0, -1, 0] += 50
    with torch.no_grad():
        moved = (decoder(EncoderOutput(whole.tokens, GRID, tuple(changed)), SIZE) - decoder(whole, SIZE)).abs()[0, 0]
    # Group norm moves everything a little; most moves where the changed voxel lies.
    x, y, z = torch.unravel_index(moved.argmax(), moved.shape)
    assert x < SIZE[0] / 2
    assert y > SIZE[1] / 2
    assert z < SIZE[2] / 2


def test_a_patch_that_is_not_halved_evenly_still_ends_at_full_size() -> None:
    decoder = PyramidDecoder(16, (), 1, refinements=3)
    assert decoder(EncoderOutput(torch.randn(1, 8, 16), (2, 2, 2)), (12, 6, 5)).shape == (1, 1, 12, 6, 5)
