"""Stochastic depth: whole branches of a residual network are left out in training."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class DropPath(nn.Module):
    """Leaves a residual branch out for some samples of the batch and scales the others up (Huang et al. 2016).

    Args:
        rate: Probability of being left out, 0..1; nothing happens outside training.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Returns the branch, zero for some samples."""
        if not self.training or self.rate == 0:
            return branch
        kept = torch.rand(branch.shape[0], *(1,) * (branch.ndim - 1), device=branch.device) >= self.rate
        return branch * kept / (1 - self.rate)
