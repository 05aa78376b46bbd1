"""The pairwise sigmoid loss of SigLIP."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError
from .precision import full_precision, without_autocast

#: Logits of pairs start near the share of right ones (Zhai et al. 2023, section 3.2).
START_BIAS = -10.0


def sigmoid_loss(
    answers: Float[Tensor, "m e"],
    targets: Float[Tensor, "m e"],
    scale: float | int | Float[Tensor, ""] = 10.0,
    bias: float | int | Float[Tensor, ""] = START_BIAS,
) -> Float[Tensor, ""]:
    r"""Every pair is judged on its own: right or wrong (Zhai et al. 2023, equation 1).

    .. math:: -\frac{1}{m} \sum_{ij} \log \sigma(z_{ij} (s\, v_i \cdot t_j + \beta)), \quad
        z_{ij} = 1 \text{ if } i = j \text{ else } -1

    with v, t L2-normalised.

    Args:
        answers: One vector a pair, from the volume.
        targets: The matching image or text features.
        scale: s > 0; the paper starts at 10 and learns it.
        bias: :math:`\beta`; the paper starts at -10 and learns it.

    Returns:
        A scalar, at least 0.

    Raises:
        ConfigError: There is only one pair, so nothing is wrong.

    Example:
        >>> sigmoid_loss(torch.eye(2), torch.eye(2), scale=40.0, bias=-20.0).item() < 1e-6
        True
    """
    if answers.shape[0] < 2:
        raise ConfigError("a contrastive loss needs at least two pairs", "raise the batch size or slices per volume")
    with without_autocast(answers):
        v, t = F.normalize(full_precision(answers), dim=-1), F.normalize(full_precision(targets), dim=-1)
        logits = scale * (v @ t.T) + bias
        signs = 2 * torch.eye(len(logits), dtype=logits.dtype, device=logits.device) - 1
        return -F.logsigmoid(signs * logits).sum() / len(logits)
