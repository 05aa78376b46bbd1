"""Plane-slice position embedding (PSPE): one vector for "plane i, slice j"."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class PlaneSlicePositionEmbedding(nn.Module):
    r"""A table of vectors indexed by plane and by *relative* position along it.

    The paper's table :math:`V_p \in R^{c \times 3 \times J}` holds one vector a slice (Med3DInsight, arXiv 2403.05141,
    section 2). Here a position is physical, 0..1 along the plane's axis, so that any depth, spacing and crop works:

    - ``lookup="table"`` takes the entry of the bin :math:`\lfloor J p \rfloor`. Slice j of N lies at
      ``(j + 0.5) / N``: with N = J it is the paper's lookup, with N = 2 J the entry ``j // 2`` of the authors' code.
    - ``lookup="interpolated"`` (ours) mixes the two nearest entries linearly; at bin centres ``(j + 0.5) / J`` both
      are the same.

    The paper initialises with zeros, the authors' code with N(0, 1).

    Args:
        width: Length c of a vector.
        num_positions: Entries J along a plane's axis.
        init: "zero" (the paper) or "normal" (the authors' code).
        lookup: "interpolated" (ours) or "table" (the paper).
    """

    def __init__(
        self,
        width: int,
        num_positions: int = 128,
        init: Literal["zero", "normal"] = "zero",
        lookup: Literal["interpolated", "table"] = "interpolated",
    ) -> None:
        super().__init__()
        self.num_positions = num_positions
        self.lookup = lookup
        table = torch.zeros(3, num_positions, width) if init == "zero" else torch.randn(3, num_positions, width)
        self.table = nn.Parameter(table)

    def forward(self, planes: Int[Tensor, "b k"], positions: Float[Tensor, "b k"]) -> Float[Tensor, "b k c"]:
        """Returns the vectors of (plane, relative position) pairs; beyond 0..1 those of the ends."""
        last = self.num_positions - 1
        if self.lookup == "table":
            return self.table[planes, (positions * self.num_positions).floor().clamp(0, last).long()]
        index = (positions * self.num_positions - 0.5).clamp(0, last)
        low = index.floor().long()
        high = (low + 1).clamp(max=last)
        share = (index - low).unsqueeze(-1).to(self.table.dtype)
        return torch.lerp(self.table[planes, low], self.table[planes, high], share)
