"""The temperature of a contrastive loss, fixed or learned."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ConfigError

#: CLIP never lets a learned scale grow beyond this (Radford et al. 2021, section 2.5).
MOST_SCALE = 100.0


class Temperature(nn.Module):
    r"""The scale :math:`s = 1/\tau` that similarities are multiplied with.

    A learned scale is kept as its logarithm and read as :math:`\min(e^t, 100)` (Radford et al. 2021). Departs from
    the paper in where it is held: here when it is read. Above 100 it has no gradient, so it is also pulled back
    there, or it could never return.

    Args:
        start: :math:`\tau` at the start, at least 0.01.
        learned: Whether it is a parameter.

    Raises:
        ConfigError: The temperature is below 0.01 or not finite.

    Example:
        >>> round(Temperature(0.07)().item(), 4)
        14.2857
    """

    log_scale: Tensor

    def __init__(self, start: float | int = 0.07, *, learned: bool = False) -> None:
        super().__init__()
        if not 1 / MOST_SCALE <= start < math.inf:
            raise ConfigError(f"a temperature of {start} is out of range", f"choose at least {1 / MOST_SCALE}")
        log_scale = torch.tensor(-math.log(start))
        if learned:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale, persistent=False)

    def forward(self) -> Float[Tensor, ""]:
        """Returns the scale 1/τ."""
        if isinstance(self.log_scale, nn.Parameter):
            with torch.no_grad():
                self.log_scale.clamp_(max=math.log(MOST_SCALE))
        return self.log_scale.exp()
