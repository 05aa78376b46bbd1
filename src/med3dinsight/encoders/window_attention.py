"""Multi-head attention inside 3D windows with a table of relative positions, for CPUs and GPUs."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..types import Shape3
from .tiled_attention import BoxGroup, attend
from .windows import WindowPlan, pair_places, row_order, window_plan

RelativeIndex = Literal["correct", "reference"]


def relative_position_index(window: Shape3, form: RelativeIndex = "correct") -> Int[Tensor, "n n"]:
    """Numbers the differences of positions inside a window: the row of the bias table for each pair of tokens.

    Args:
        window: Edges w₁, w₂, w₃ of the window.
        form: "correct" numbers (Δ₁, Δ₂, Δ₃) + w - 1 in C order of (2w₁-1, 2w₂-1, 2w₃-1). "reference" multiplies the
            first by 3w₂-1 and the second by 2w₂-1 and the third by 1, as nnFormer's public code does, so that different
            differences share a row (for w = 4 only 115 of 343 rows are used); weights trained so need it.
    """
    w1, w2, w3 = window
    # Without a device of its own it would be made on the one that a caller has set as default for parameters.
    axes = [torch.arange(edge, device="cpu") for edge in window]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
    first, second, third = (
        places[:, :, None] - places[:, None, :] + torch.tensor([w1 - 1, w2 - 1, w3 - 1], device="cpu")[:, None, None]
    )
    if form == "reference":
        return first * (3 * w2 - 1) + second * (2 * w2 - 1) + third
    return (first * (2 * w2 - 1) + second) * (2 * w3 - 1) + third


class _Reorder(torch.autograd.Function):
    """Rows in another order; the gradient of a permutation is its inverse, which costs far less than adding up."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(order, inverse)
        return rows.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        order, inverse = ctx.saved_tensors
        return _Reorder.apply(grad, inverse, order), None, None  # type: ignore[no-untyped-call]


class _TableEntries(torch.autograd.Function):
    """Entries of a table for all heads; the gradient adds up twenty times faster than an embedding's on a CPU."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.rows = len(table)
        return table.t().contiguous().index_select(1, places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        summed = grad.new_zeros(len(grad), ctx.rows)
        return summed.scatter_add_(1, places.expand(len(grad), -1), grad).t(), None


class WindowAttention(nn.Module):
    """Attention inside windows of a 3D grid, shifted or not, on grids of any size.

    The result is that of padding the grid with zeros to whole windows, rolling it, and masking with -100 what is not
    truly neighbouring, as in Swin (Liu et al. 2021) and its 3D successors, up to terms of exp(-100).

    Args:
        dim: Channels.
        num_heads: Attention heads.
        window: Edges of a window in tokens.
        clipping: What happens where the grid is not longer than the window. "axis": that axis has one window of its
            length and is not shifted, and positions are numbered inside the clipped window, as MONAI does: the pairs
            of a clipped window read the table's first rows and not those of their true differences, and weights are
            trained so. "cube": if any axis is so short, windows are cubes of the shortest axis, none is shifted, and
            positions keep their true differences, as in nnFormer.
        relative_index: See :func:`relative_position_index`.
        cross: Queries are given, and only keys and values are projected (nnFormer's skip attention).
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window: Shape3,
        *,
        clipping: Literal["axis", "cube"] = "axis",
        relative_index: RelativeIndex = "correct",
        cross: bool = False,
    ) -> None:
        super().__init__()
        self.num_heads, self.window, self.clipping = num_heads, window, clipping
        self.relative_position_bias_table = nn.Parameter(torch.empty(prod(2 * w - 1 for w in window), num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        # In the state dict because published files have it there.
        self.register_buffer("relative_position_index", relative_position_index(window, relative_index))
        if cross:
            self.kv = nn.Linear(dim, 2 * dim)
        else:
            self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self,
        features: Float[Tensor, "b x y z c"],
        shifted: bool = False,
        queries: Float[Tensor, "b x y z c"] | None = None,
    ) -> Float[Tensor, "b x y z c"]:
        """Attends.

        Args:
            features: Normalised features; with ``cross`` those that give keys and values.
            shifted: Shift the windows by half their edge.
            queries: Those that give queries, with ``cross`` only.
        """
        batch, *_, dim = features.shape
        plan = self._plan((features.shape[1], features.shape[2], features.shape[3]), shifted)
        order, inverse = (torch.from_numpy(rows).to(features.device) for rows in row_order(plan, batch))

        def in_boxes(values: Tensor) -> Tensor:
            rows = values.reshape(-1, dim)
            return rows if plan.identical else _Reorder.apply(rows, order, inverse)  # type: ignore[no-untyped-call]

        if queries is None:
            project, packed = self.qkv, self.qkv(in_boxes(features))
        else:
            project, packed = self.kv, torch.cat([in_boxes(queries), self.kv(in_boxes(features))], 1)
        heads = (self.num_heads, dim // self.num_heads)
        groups = [BoxGroup(batch * boxes.count, len(boxes.places)) for boxes in plan.boxes]
        padding = project.bias[-2 * dim :].view(2, *heads)
        out = attend(packed.view(-1, 3, *heads), padding, groups, self._biases(plan))
        out = self.proj(out.flatten(1))
        return (out if plan.identical else _Reorder.apply(out, inverse, order)).view_as(features)  # type: ignore[no-untyped-call]

    def _plan(self, grid: Shape3, shifted: bool) -> WindowPlan:
        edges = list(self.window)
        if self.clipping == "axis":
            edges = [min(edge, size) for edge, size in zip(edges, grid, strict=True)]
            shift = [edge // 2 if shifted and size > edge else 0 for edge, size in zip(self.window, grid, strict=True)]
            frame = edges
        else:
            short = any(size <= edge for edge, size in zip(edges, grid, strict=True))
            edges = [min(grid)] * 3 if short else edges
            shift = [edge // 2 if shifted and not short else 0 for edge in edges]
            frame = list(self.window)
        return window_plan(grid, *(tuple(each) for each in (edges, shift, frame)))

    def _biases(self, plan: WindowPlan) -> list[Tensor]:
        index: Tensor = self.relative_position_index  # type: ignore[assignment]
        pairs = torch.from_numpy(pair_places(plan, len(index))).to(index.device)
        entries = _TableEntries.apply(self.relative_position_bias_table, index.flatten().index_select(0, pairs))  # type: ignore[no-untyped-call]
        sizes = [len(boxes.places) * len(others) for boxes in plan.boxes for others in (boxes.places, boxes.padding)]
        parts = iter(entries.split(sizes, 1))
        biases = []
        for boxes in plan.boxes:
            tokens = len(boxes.places)
            inside, beyond = next(parts).unflatten(1, (tokens, tokens)), next(parts)
            if len(boxes.padding):
                column = beyond.unflatten(1, (tokens, -1)).logsumexp(2, keepdim=True)
                inside = torch.cat([inside, column], 2)
            biases.append(inside)
        return biases
