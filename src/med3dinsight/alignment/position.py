"""Plane-slice position embedding (PSPE): one vector for "plane i, slice j"."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class PlaneSlicePositionEmbedding(nn.Module):
    r"""A table of vectors indexed by plane and by *relative* position along it.

    The paper's table :math:`V_p \in R^{c \times 3 \times J}` holds one vector a slice. Here a position is
    physical: 0..1 along the plane's axis, and the two nearest of ``num_positions`` entries are mixed
    linearly, so that any depth, spacing and crop works. Asked at bin centres ``(j + 0.5) / J`` it is the
    paper's table. (Med3DInsight, arXiv 2403.05141, section 2; the interpolation is ours. The paper
    initialises with zeros, the authors' review code with N(0, 1).)

    Args:
        width: Length c of a vector.
        num_positions: Entries J along a plane's axis.
        init: "zero" (the paper) or "normal" (the authors' code).
    """

    def __init__(self, width: int, num_positions: int = 128, init: Literal["zero", "normal"] = "zero") -> None:
        super().__init__()
        self.num_positions = num_positions
        table = torch.zeros(3, num_positions, width) if init == "zero" else torch.randn(3, num_positions, width)
        self.table = nn.Parameter(table)

    def forward(self, planes: Int[Tensor, "b k"], positions: Float[Tensor, "b k"]) -> Float[Tensor, "b k c"]:
        """Returns the vectors of (plane, relative position 0..1) pairs."""
        index = (positions * self.num_positions - 0.5).clamp(0, self.num_positions - 1)
        low = index.floor().long()
        high = (low + 1).clamp(max=self.num_positions - 1)
        share = (index - low).unsqueeze(-1).to(self.table.dtype)
        return torch.lerp(self.table[planes, low], self.table[planes, high], share)
