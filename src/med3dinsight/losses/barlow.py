"""Barlow Twins: two views agree in every feature, and features do not repeat each other."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError
from .precision import full_precision, without_autocast

#: Added to variances, so that a constant feature stays finite.
EPSILON = 1e-5


def barlow_twins(
    first: Float[Tensor, "b e"], second: Float[Tensor, "b e"], off_diagonal: float | int = 0.0051
) -> Float[Tensor, ""]:
    r"""Redundancy reduction between two views.

    .. math:: \sum_i (1 - C_{ii})^2 + \lambda \sum_i \sum_{j \ne i} C_{ij}^2

    with C the cross-correlation over the batch of the features, each brought to mean 0 and variance 1 over the batch
    (Zbontar et al. 2021, arXiv 2103.03230, eq. 1 and 2).

    Args:
        first: A projection of each example's first view.
        second: Of the second view.
        off_diagonal: :math:`\lambda`; the paper's .0051.

    Raises:
        ConfigError: There is only one example, which has no correlation.
    """
    if first.shape[0] < 2:
        raise ConfigError("correlations need at least two volumes", "raise pretrain.batch_volumes")
    with without_autocast(first):
        u, v = _standardised(full_precision(first)), _standardised(full_precision(second))
        correlation = u.T @ v / len(u)
        diagonal = correlation.diagonal()
        rest = correlation.square().sum() - diagonal.square().sum()
        return (1 - diagonal).square().sum() + off_diagonal * rest


def _standardised(values: Float[Tensor, "b e"]) -> Float[Tensor, "b e"]:
    return (values - values.mean(0)) * (values.var(0, correction=0) + EPSILON).rsqrt()
