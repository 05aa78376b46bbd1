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
    """Some boxes of one group with all their heads.

    ``q``, ``k``, ``v`` are (c·h, n or m, d + 1). The last column of keys and values is one: against a further column
    of the queries it adds a number to a whole row of scores inside the matrix product, and against the weights it
    sums them. All of them are overwritten by the next tile.
    """

    rows: slice
    boxes: int
    q: Tensor
    k: Tensor
    v: Tensor
    scores: Tensor
    bias: Tensor
    group: int


def _tiles(
    packed: Tensor, padding: Tensor, groups: Sequence[BoxGroup], biases: Sequence[Tensor], dtype: torch.dtype
) -> Iterator[_Tile]:
    heads, d = packed.shape[2:]
    row = 0
    for number, ((count, size), bias) in enumerate(zip(groups, biases, strict=True)):
        keys = bias.shape[2]
        step = min(count, max(1, TILE_SCORES * torch.get_num_threads() // (heads * size * keys)))
        scores = torch.empty(step * heads, size, keys, dtype=dtype)
        extended = torch.ones(3, step, heads, keys, d + 1, dtype=dtype)
        if keys > size:
            extended[1:, :, :, size, :d] = padding.unsqueeze(1)
        for first in range(0, count, step):
            c = min(step, count - first)
            rows = slice(row + first * size, row + (first + c) * size)
            extended[:, :c, :, :size, :d] = packed[rows].view(c, size, 3, heads, d).permute(2, 0, 3, 1, 4)
            q, k, v = (part[:c].flatten(0, 1) for part in extended)
            yield _Tile(rows, c, q[:, :size], k, v, scores[: c * heads], bias, number)
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
                c, n, scores = tile.boxes, tile.q.shape[1], tile.scores
                _product(tile.q[..., :d], tile.k[..., :d], d**-0.5, scores)
                scores.view(c, heads, n, -1).add_(tile.bias)
                top = scores.amax(-1, keepdim=True)
                weighted = torch.bmm(scores.sub_(top).exp_(), tile.v)
                sums = weighted[..., d:]
                values = (weighted[..., :d] / sums).view(c, heads, n, d)
                out[tile.rows].view(c, n, heads, d).copy_(values.transpose(1, 2))
                logs = (top + sums.log()).view(c, heads, n)
                log_sums[tile.rows].view(c, n, heads).copy_(logs.transpose(1, 2))
        ctx.save_for_backward(packed, padding, out, log_sums, *biases)
        ctx.groups = groups
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        packed, padding, out, log_sums, *biases = ctx.saved_tensors
        heads, d = packed.shape[2:]
        dtype = log_sums.dtype
        grad_packed = torch.empty_like(packed)
        grad_padding = torch.zeros(padding.shape, dtype=dtype)
        grad_biases = [torch.zeros(bias.shape, dtype=dtype) for bias in biases]
        # dS = P ∘ (dP - D), where D = Σ dO ∘ O for each row (Dao et al. 2022, FlashAttention, appendix B).
        minus_d = (grad.to(dtype) * out.to(dtype)).sum(-1).neg_()
        shift = log_sums * -(d**0.5)
        for tile in _tiles(packed, padding, ctx.groups, biases, dtype):
            c, n, weights = tile.boxes, tile.q.shape[1], tile.scores
            tile.q[..., d].view(c, heads, n).copy_(shift[tile.rows].view(c, n, heads).transpose(1, 2))
            g = torch.empty(c, heads, n, d + 1, dtype=dtype)
            g[..., :d] = grad[tile.rows].view(c, n, heads, d).transpose(1, 2)
            g[..., d] = minus_d[tile.rows].view(c, n, heads).transpose(1, 2)
            g = g.flatten(0, 1)
            _product(tile.q, tile.k, d**-0.5, weights)
            weights.view(c, heads, n, -1).add_(tile.bias)
            weights.exp_()
            grad_scores = torch.bmm(g, tile.v.transpose(1, 2)).mul_(weights)
            grad_biases[tile.group].add_(grad_scores.view(c, heads, n, -1).sum(0) if c > 1 else grad_scores)
            grad_values = torch.bmm(weights.transpose(1, 2), g[..., :d])
            grad_scores_t = grad_scores.transpose(1, 2)
            target = grad_packed[tile.rows].view(c, n, 3, heads, d).permute(2, 0, 3, 1, 4)
            target[0] = torch.bmm(grad_scores, tile.k[..., :d]).mul_(d**-0.5).view(c, heads, n, d)
            for number, part in ((1, torch.bmm(grad_scores_t, tile.q[..., :d]).mul_(d**-0.5)), (2, grad_values)):
                boxes = part.view(c, heads, -1, d)
                target[number] = boxes[:, :, :n]
                if boxes.shape[2] > n:
                    grad_padding[number - 1] += boxes[:, :, n].sum(0)
        cast = [value.to(bias.dtype) for value, bias in zip(grad_biases, biases, strict=True)]
        return grad_packed, grad_padding.to(padding.dtype), None, *cast


def _product(left: Tensor, right: Tensor, scale: float, out: Tensor) -> None:
    """Writes scale · left · rightᵀ."""
    torch.baddbmm(out, left, right.transpose(1, 2), beta=0, alpha=scale, out=out)
