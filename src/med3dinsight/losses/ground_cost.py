"""What it costs to move an answer to a target: a distance, plain or learned."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ConfigError, suggest
from .precision import full_precision, without_autocast

METRICS = ("euclidean", "diagonal", "psd")


class GroundCost(nn.Module):
    r"""Distances of L2-normalised vectors in a metric M, divided by the largest.

    .. math:: C_{ij} = \sqrt{(x_i - y_j)^T M (x_i - y_j)} \;/\; \max_{kl} C_{kl}

    ``euclidean``: M = I. ``diagonal``: :math:`M = diag(w)^2`. ``psd``: :math:`M = L^T L`, a Mahalanobis metric that is
    positive semi-definite whatever L is (the intended metric, from m-LTM, ICLR 2024). Both learned ones start as M = I.
    The gradient flows through the maximum, so the scale of M has none and cannot run away; in turn the two vectors that
    lie furthest apart are pushed for the sake of all others. Where x = y the distance has no derivative; it is
    taken as 0.

    Departs from the authors' code in ``diagonal``: that reads the diagonal of a free matrix, whose entries may
    become negative; here they are squares.

    Args:
        kind: A name of ``METRICS``.
        width: Length e of the vectors.

    Raises:
        ConfigError: There is no metric of that name.

    Example:
        >>> GroundCost("euclidean", 2)(torch.eye(2), torch.eye(2)).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        if kind not in METRICS:
            raise ConfigError(f"there is no metric {kind!r}", suggest(kind, METRICS))
        self.kind = kind
        if kind == "diagonal":
            self.factor = nn.Parameter(torch.ones(width))
        elif kind == "psd":
            self.factor = nn.Parameter(torch.eye(width))

    def metric(self) -> Float[Tensor, "e e"] | None:
        """The matrix M; none for ``euclidean``, whose width is unknown."""
        if self.kind == "euclidean":
            return None
        return torch.diag(self.factor**2) if self.kind == "diagonal" else self.factor.T @ self.factor

    def forward(self, answers: Float[Tensor, "n e"], targets: Float[Tensor, "m e"]) -> Float[Tensor, "n m"]:
        """Returns the costs, in [0, 1]; zeros where all vectors are equal.

        Args:
            answers: Vectors of any length; they are normalised here.
            targets: As many or another number of them.
        """
        with without_autocast(answers):
            x, y = (self._stretched(F.normalize(full_precision(side), dim=-1)) for side in (answers, targets))
            # Not by matrix products: |x|² + |y|² − 2xy loses small distances in fp32.
            distances = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
            return distances / distances.amax().clamp(min=torch.finfo(distances.dtype).tiny)

    def _stretched(self, vectors: Tensor) -> Tensor:
        if self.kind == "euclidean":
            return vectors
        factor = self.factor.to(vectors.dtype)
        return vectors * factor if self.kind == "diagonal" else vectors @ factor.T
