"""Full precision for losses that half precision would break."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def full_precision(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Returns float64 as it is and everything else as float32.

    Args:
        values: A tensor of any floating type.
    """
    return values if values.dtype == torch.float64 else values.float()


def without_autocast(values: Tensor) -> torch.autocast:
    """A context in which matrix products keep the type of their inputs, whatever surrounds it.

    Args:
        values: A tensor on the device in question.
    """
    return torch.autocast(values.device.type, enabled=False)
