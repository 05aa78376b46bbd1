from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from med3dinsight.alignment import PSATSettings
from med3dinsight.alignment.cross_attention import CrossAttention

SETTINGS = PSATSettings(width=16, num_queries=3, num_heads=4, ffn_width=24, num_positions=8)


@pytest.mark.parametrize("biased", [True, False])
def test_cross_attention_is_torchs_with_the_position_added_to_every_token(biased: bool) -> None:
    """The tokens are projected once a volume, whatever the number of slices; the result must be the long way's."""
    torch.manual_seed(3)
    b, k, q, n, width = 2, 4, 3, 24, 16
    module = CrossAttention(replace(SETTINGS, distance_bias=biased))
    queries, tokens = torch.randn(b, k, q, width), torch.randn(b, n, width)
    position, distances = torch.randn(b, k, width), torch.rand(b, k, n)
    got = module(queries, tokens, position, distances)

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (4, width // 4)).transpose(-2, -3)

    for row in range(b):
        for slice_ in range(k):
            moved = tokens[row] + position[row, slice_]
            bias = None
            if biased:
                assert module.log_slopes is not None
                bias = -module.log_slopes.exp()[:, None, None] * distances[row, slice_][None, None]
                bias = bias.expand(4, q, n)
            attended = F.scaled_dot_product_attention(
                heads(module.query(queries[row, slice_])), heads(module.key(moved)), heads(module.value(moved)), bias
            )
            expected = module.out(attended.transpose(0, 1).flatten(1))
            assert torch.allclose(got[row, slice_], expected, atol=1e-5)


def test_without_bias_cross_attention_is_torchs_multihead_attention() -> None:
    torch.manual_seed(4)
    module = CrossAttention(replace(SETTINGS, distance_bias=False))
    reference = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    projections = [module.query, module.key, module.value]
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([part.weight for part in projections]))
        reference.in_proj_bias.copy_(torch.cat([part.bias for part in projections]))
        reference.out_proj.weight.copy_(module.out.weight)
        reference.out_proj.bias.copy_(module.out.bias)
    queries, tokens, position = torch.randn(2, 1, 3, 16), torch.randn(2, 24, 16), torch.randn(2, 1, 16)
    moved = tokens + position
    expected, _ = reference(queries[:, 0], moved, moved)
    got = module(queries, tokens, position, torch.rand(2, 1, 24))
    assert torch.allclose(got[:, 0], expected, atol=1e-5)


def test_dropped_weights_drop_the_positions_share_too() -> None:
    """One volume, one slice: the same draw as an attention that adds the position to every token."""
    torch.manual_seed(6)
    module = CrossAttention(replace(SETTINGS, distance_bias=False, dropout=0.4)).train()
    queries, tokens, position = torch.randn(1, 1, 3, 16), torch.randn(1, 24, 16), torch.randn(1, 1, 16)
    distances = torch.rand(1, 1, 24)
    torch.manual_seed(7)
    got = module(queries, tokens, position, distances)

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (4, 4)).transpose(0, 1)

    moved = tokens[0] + position[0]
    query, key, value = module.query(queries[0, 0]), module.key(moved), module.value(moved)
    weights = (heads(query) @ heads(key).transpose(-1, -2) / 2).softmax(-1)
    torch.manual_seed(7)
    dropped = F.dropout(weights, 0.4)
    assert (dropped == 0).any()
    expected = module.out((dropped @ heads(value)).transpose(0, 1).flatten(1))
    assert torch.allclose(got[0, 0], expected, atol=1e-5)
    assert not torch.allclose(got, module.eval()(queries, tokens, position, distances), atol=1e-3)
