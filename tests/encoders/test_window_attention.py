from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from med3dinsight.encoders.window_attention import WindowAttention


def by_rolling(layer: WindowAttention, features: Tensor, shifted: bool, queries: Tensor | None = None) -> Tensor:
    """Cubic windows as the papers draw them: pad, roll, cut, mask, attend, and all of it back."""
    grid = list(features.shape[1:4])
    window = min(*grid, layer.window[0])
    shift = layer.window[0] // 2 if shifted and min(grid) > layer.window[0] else 0
    padded = [-(-size // window) * window for size in grid]
    region = torch.zeros(padded)
    for axis in range(3):
        ends = [0, *((padded[axis] - window, padded[axis] - shift) if shift else ()), padded[axis]]
        numbers = torch.cat([torch.full((b - a,), float(n)) for n, (a, b) in enumerate(itertools.pairwise(ends))])
        region += numbers.view([-1 if each == axis else 1 for each in range(3)]) * 10**axis

    def cut(values: Tensor) -> Tensor:
        values = values.unflatten(3, (-1, window)).unflatten(2, (-1, window)).unflatten(1, (-1, window))
        return values.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4, 6).flatten(1, 3)

    def windows(values: Tensor) -> Tensor:
        values = F.pad(
            values, [0, 0, *(n for a, b in zip(reversed(grid), reversed(padded), strict=True) for n in (0, b - a))]
        )
        return cut(values.roll([-shift] * 3, (1, 2, 3)))

    if queries is None:
        q, k, v = layer.qkv(windows(features)).chunk(3, -1)
    else:
        q, (k, v) = windows(queries), layer.kv(windows(features)).chunk(2, -1)
    q, k, v = (each.unflatten(-1, (layer.num_heads, -1)).transpose(2, 3) for each in (q, k, v))
    edge = layer.window[0]
    inside = torch.arange(edge**3).view(edge, edge, edge)[:window, :window, :window].flatten()
    index = layer.relative_position_index[inside][:, inside]
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + layer.relative_position_bias_table[index].permute(2, 0, 1)
    regions = cut(region[None, ..., None])[0, :, :, 0]
    hidden = regions[:, :, None] != regions[:, None, :]
    scores = scores.masked_fill(hidden[None, :, None], float("-inf"))
    out = layer.proj((scores.softmax(-1) @ v).transpose(2, 3).flatten(3))
    counts = [size // window for size in padded]
    out = out.unflatten(1, counts).unflatten(4, (window,) * 3).permute(0, 1, 4, 2, 5, 3, 6, 7)
    out = out.flatten(5, 6).flatten(3, 4).flatten(1, 2).roll([shift] * 3, (1, 2, 3))
    return out[:, : grid[0], : grid[1], : grid[2]]


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("relative_index", ["correct", "reference"])
@pytest.mark.parametrize("grid", [(8, 8, 8), (5, 9, 6), (4, 8, 7), (3, 3, 5)])
def test_cubic_windows_are_those_of_padding_rolling_and_masking(
    grid: tuple[int, int, int], relative_index: str, cross: bool
) -> None:
    torch.manual_seed(0)
    layer = WindowAttention(6, 2, (4, 4, 4), clipping="cube", relative_index=relative_index, cross=cross)
    with torch.no_grad():
        layer.relative_position_bias_table.normal_()
    features = torch.randn(2, *grid, 6)
    queries = torch.randn(2, *grid, 6) if cross else None
    for shifted in (False, True):
        expected = by_rolling(layer, features, shifted, queries)
        torch.testing.assert_close(layer(features, shifted, queries), expected, rtol=1e-4, atol=1e-5)


def test_cross_attention_projects_no_queries() -> None:
    names = {name for name, _ in WindowAttention(6, 2, (4, 4, 4), cross=True).named_parameters()}
    assert {"kv.weight", "kv.bias"} <= names and not any(name.startswith("qkv") for name in names)
