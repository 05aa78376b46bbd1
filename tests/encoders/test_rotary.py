from __future__ import annotations

import torch

from med3dinsight.encoders.rotary import rotary_angles, turn


def test_a_product_of_turned_vectors_depends_on_the_distance_of_their_tokens_alone() -> None:
    torch.manual_seed(0)
    grid = (5, 5, 8)
    angles = rotary_angles(grid, 24).reshape(*grid, -1).double()
    query, key = torch.randn(24, dtype=torch.float64), torch.randn(24, dtype=torch.float64)

    def product(here: tuple[int, int, int], there: tuple[int, int, int]) -> torch.Tensor:
        ends = torch.stack([angles[here], angles[there]])
        turned = turn(torch.stack([query, key]).reshape(1, 1, 2, 24), ends.unsqueeze(0))[0, 0]
        return turned[0] @ turned[1]

    near = product((0, 1, 2), (1, 3, 1))
    for shift in [(1, 0, 0), (0, -1, 0), (3, 0, 4), (2, -1, 1)]:
        here = tuple(place + step for place, step in zip((0, 1, 2), shift, strict=True))
        there = tuple(place + step for place, step in zip((1, 3, 1), shift, strict=True))
        torch.testing.assert_close(product(here, there), near)
    for other in [(2, 3, 1), (1, 2, 1), (1, 3, 2)]:
        assert (product((0, 1, 2), other) - near).abs() > 1e-3


def test_turning_keeps_lengths_and_leaves_the_first_token_as_it_is() -> None:
    vectors = torch.randn(2, 3, 8, 12)
    turned = turn(vectors, rotary_angles((2, 2, 2), 12).unsqueeze(0))
    torch.testing.assert_close(turned.norm(dim=-1), vectors.norm(dim=-1))
    assert torch.equal(turned[:, :, 0], vectors[:, :, 0])
    assert not torch.allclose(turned[:, :, 1], vectors[:, :, 1])


def test_turning_keeps_the_precision() -> None:
    assert turn(torch.randn(1, 1, 8, 12).bfloat16(), rotary_angles((2, 2, 2), 12).unsqueeze(0)).dtype == torch.bfloat16
