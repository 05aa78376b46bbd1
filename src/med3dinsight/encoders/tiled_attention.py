"""Attention inside many small boxes with one bias table, in pieces that stay in a processor's cache.

A window of 7³ tokens has 343² scores a head. Written out for all windows at once, as a chain of tensor operations
does, they travel to memory and back about ten times; a few boxes at a time they stay in the cache, and the backward
pass computes them anew from the queries and keys instead of keeping them: three times faster on a CPU, and the memory
of a step does not hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Scores computed at a time by each thread: 1.5 MB of fp32, which with its copy for gradients fits a 2 to 4 MB cache.
TILE_SCORES = 400_000


class BoxGroup(NamedTuple):
    """``boxes`` boxes of ``size`` tokens each, whose rows lie together, box after box."""

    boxes: int
    size: int


def attend(
    packed: Float[Tensor, "rows 3 heads d"],
    padding: Float[Tensor, "2 heads d"],
    groups: Sequence[BoxGroup],
    biases: Sequence[Float[Tensor, "heads _ _"]],
) -> Float[Tensor, "rows heads d"]:
    """Computes softmax(q kᵀ / √d + bias) v inside every box.

    Args:
        packed: Queries, keys and values of all boxes' tokens, group after group.
        padding: Key and value that all padded tokens of a box share.
        groups: How many boxes of which size, in the order of the rows.
        biases: For each group what is added to the scores. A group whose boxes reach into the padding has one more
            column than tokens: Σ exp(q·k₀ + b_j) = exp(q·k₀ + log Σ exp b_j), so that its padded keys are one
            key, with the log-sum-exp of their biases as its bias.

    Returns:
        The attended values, in the order of ``packed``.
    """
    if packed.device.type != "cpu" or torch.compiler.is_compiling():
        return _attend_fused(packed, padding, groups, biases)
    out: Tensor = _TiledAttention.apply(packed, padding, tuple(groups), *biases)  # type: ignore[no-untyped-call]
    return out


def _attend_fused(packed: Tensor, padding: Tensor, groups: Sequence[BoxGroup], biases: Sequence[Tensor]) -> Tensor:
    """The same by torch's fused attention, for GPUs and for exported graphs."""
    outs, row = [], 0
    for (count, size), bias in zip(groups, biases, strict=True):
        rows = packed[row : row + count * size].unflatten(0, (count, size))
        q, k, v = rows.permute(2, 0, 3, 1, 4)
        if bias.shape[2] > size:
            k, v = (
                torch.cat([x, pad.expand(count, 1, -1, -1).transpose(1, 2)], 2)
                for x, pad in ((k, padding[0]), (v, padding[1]))
            )
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype).unsqueeze(0))
        outs.append(out.transpose(1, 2).flatten(0, 1))
        row += count * size
    return torch.cat(outs)


class _Tile(NamedTuple):
    """Some heads of some boxes of one group, in buffers that the next tile overwrites.

    ``q``, ``k``, ``v`` are (c·h, n or m, d), ``scores`` and ``more`` (c·h, n, m).
    """

    rows: slice
    boxes: int
    heads: slice
    group: int
    q: Tensor
    k: Tensor
    v: Tensor
    scores: Tensor
    more: Tensor
    bias: Tensor

    def of(self, values: Tensor) -> Tensor:
        """The tile's part of (rows, heads, …), as (c, h, n, …)."""
        return values[self.rows, self.heads].unflatten(0, (self.boxes, -1)).transpose(1, 2)

    def by_box(self, values: Tensor) -> Tensor:
        """(c·h, …) as (c, h, …)."""
        return values.unflatten(0, (self.boxes, -1))


def _tiles(
    packed: Tensor, padding: Tensor, groups: Sequence[BoxGroup], biases: Sequence[Tensor], dtype: torch.dtype
) -> Iterator[_Tile]:
    all_heads, d = packed.shape[2:]
    budget = TILE_SCORES * torch.get_num_threads()
    row = 0
    for number, ((count, size), bias) in enumerate(zip(groups, biases, strict=True)):
        keys = bias.shape[2]
        h = max(1, min(all_heads, budget // (size * keys)))
        step = max(1, min(count, budget // (h * size * keys)))
        scores, more = torch.empty(2, step * h, size, keys, dtype=dtype)
        heads_first = torch.empty(3, step, h, keys, d, dtype=dtype)
        # All boxes of a head one after the other, so that its bias stays in the cache.
        for first_head in range(0, all_heads, h):
            heads = slice(first_head, min(first_head + h, all_heads))
            wide = heads.stop - heads.start
            if keys > size:
                heads_first[1:, :, :wide, size] = padding[:, None, heads]
            for first in range(0, count, step):
                c = min(step, count - first)
                rows = slice(row + first * size, row + (first + c) * size)
                boxes = packed[rows, :, heads].unflatten(0, (c, size)).permute(2, 0, 3, 1, 4)
                heads_first[:, :c, :wide, :size] = boxes
                q, k, v = (part[:c, :wide].flatten(0, 1) for part in heads_first)
                most = c * wide
                yield _Tile(rows, c, heads, number, q[:, :size], k, v, scores[:most], more[:most], bias[heads])
        row += count * size


class _TiledAttention(torch.autograd.Function):
    """Forward keeps one number a row, the logarithm of its softmax's denominator; backward is exact."""

    @staticmethod
    def forward(ctx: Any, packed: Tensor, padding: Tensor, groups: tuple[BoxGroup, ...], *biases: Tensor) -> Tensor:
        total, _, heads, d = packed.shape
        dtype = torch.float64 if packed.dtype == torch.float64 else torch.float32
        out = torch.empty(total, heads, d, dtype=packed.dtype)
        log_sums = torch.empty(total, heads, dtype=dtype)
        with torch.autocast("cpu", enabled=False):
            for tile in _tiles(packed, padding, groups, biases, dtype):
                scores = _product(tile.q, tile.k, d**-0.5, tile.scores)
                tile.by_box(scores).add_(tile.bias)
                top = scores.amax(-1, keepdim=True)
                sums = scores.sub_(top).exp_().sum(-1, keepdim=True)
                tile.of(out).copy_(tile.by_box(torch.bmm(scores, tile.v).div_(sums)))
                tile.of(log_sums).copy_(tile.by_box((top + sums.log()).squeeze(-1)))
        ctx.save_for_backward(packed, padding, out, log_sums, *biases)
        ctx.groups = groups
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        packed, padding, out, log_sums, *biases = ctx.saved_tensors
        d, dtype = packed.shape[3], log_sums.dtype
        grad_packed = torch.empty_like(packed)
        grad_padding = torch.zeros(padding.shape, dtype=dtype)
        grad_biases = [torch.zeros(bias.shape, dtype=dtype) for bias in biases]
        for tile in _tiles(packed, padding, ctx.groups, biases, dtype):
            weights = _product(tile.q, tile.k, d**-0.5, tile.scores)
            tile.by_box(weights).add_(tile.bias).sub_(tile.of(log_sums).unsqueeze(-1)).exp_()
            g = tile.of(grad).to(dtype, memory_format=torch.contiguous_format, copy=True)
            # dS = P ∘ (dP - D), where D = Σ dO ∘ O for each row (Dao et al. 2022, FlashAttention, appendix B).
            row_sums = (g * tile.of(out)).sum(-1, keepdim=True).flatten(0, 1)
            g = g.flatten(0, 1)
            grad_scores = _product(g, tile.v, 1.0, tile.more).sub_(row_sums).mul_(weights)
            per_box = tile.by_box(grad_scores)
            grad_biases[tile.group][tile.heads].add_(per_box[0] if len(per_box) == 1 else per_box.sum(0))
            grad_q = torch.bmm(grad_scores, tile.k).mul_(d**-0.5)
            grad_k = torch.bmm(grad_scores.transpose(1, 2), tile.q).mul_(d**-0.5)
            grad_v = torch.bmm(weights.transpose(1, 2), g)
            tile.of(grad_packed[:, 0]).copy_(tile.by_box(grad_q))
            for number, part in enumerate((grad_k, grad_v)):
                keys = tile.by_box(part)
                n = tile.q.shape[1]
                tile.of(grad_packed[:, number + 1]).copy_(keys[:, :, :n])
                if keys.shape[2] > n:
                    grad_padding[number, tile.heads] += keys[:, :, n].sum(0)
        cast = [value.to(bias.dtype) for value, bias in zip(grad_biases, biases, strict=True)]
        return grad_packed, grad_padding.to(padding.dtype), None, *cast


def _product(left: Tensor, right: Tensor, scale: float, out: Tensor) -> Tensor:
    """Writes scale · left · rightᵀ."""
    return torch.baddbmm(out, left, right.transpose(1, 2), beta=0, alpha=scale, out=out)
