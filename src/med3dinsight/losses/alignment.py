"""The alignment losses by name: modules from answers and targets to one number, across processes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ConfigError, suggest
from .balanced_transport import check_transport
from .gathering import gather
from .ground_cost import GroundCost
from .infonce import infonce
from .partial_transport import log_partial_transport_plan
from .precision import without_autocast
from .sigmoid import START_BIAS, sigmoid_loss
from .temperature import Temperature
from .transport_losses import kept_mass_loss, matched_mass_loss, transport_cost


@dataclass(frozen=True)
class AlignmentSettings:
    """What an alignment loss is made from.

    Attributes:
        alignment: A name of `ALIGNMENT_LOSSES`.
        metric: Ground metric of the transport losses: euclidean, diagonal or psd.
        regularization: Weight of the plan's entropy, in units of the largest cost.
        mass: Share of all mass that is moved, in (0, 1]. At 0.95 a batch needs 20 pairs before a whole one can be
            left out. ``ot`` moves all of it whatever stands here.
        iterations: Of the transport solver, with the unrolled gradient; none for the optimum and the implicit one.
        temperature: Where the contrastive losses start; SigLIP's own start is 0.1.
        learn_temperature: Whether infonce learns it. ``sigmoid`` always learns temperature and bias.
    """

    alignment: str = "infonce"
    metric: str = "euclidean"
    regularization: float | int = 0.03
    mass: float | int = 0.95
    iterations: int | None = 200
    temperature: float | int = 0.07
    learn_temperature: bool = False


class AlignmentLoss(nn.Module, ABC):
    """Base of the losses here: gathers the pairs of all processes and measures them.

    Every process returns the loss of all pairs; see `gather` for why gradients come out as those of one batch.

    Args:
        settings: What it is made from.
    """

    def __init__(self, settings: AlignmentSettings) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, answers: Float[Tensor, "m e"], targets: Float[Tensor, "m e"]) -> Float[Tensor, ""]:
        """Returns the loss of all pairs.

        Args:
            answers: One vector a pair, from the volume.
            targets: The matching image or text features.

        Raises:
            ConfigError: There is only one pair.
            InputError: Processes hold different numbers of pairs.
        """
        return self.measure(gather(answers), gather(targets))

    @abstractmethod
    def measure(self, answers: Float[Tensor, "m e"], targets: Float[Tensor, "m e"]) -> Float[Tensor, ""]:
        """The loss of pairs that are all here.

        Args:
            answers: One vector a pair.
            targets: The matching features.
        """

    def floor(self, pairs: int) -> float:
        """The loss of a perfect alignment, to be taken off before it is logged.

        Args:
            pairs: Number of pairs of all processes.
        """
        return 0.0


class InfoNCELoss(AlignmentLoss):
    """`infonce` with a fixed or learned temperature.

    Args:
        settings: ``temperature`` and ``learn_temperature`` are read.
    """

    def __init__(self, settings: AlignmentSettings) -> None:
        super().__init__(settings)
        self.scale = Temperature(settings.temperature, learned=settings.learn_temperature)

    def measure(self, answers: Float[Tensor, "m e"], targets: Float[Tensor, "m e"]) -> Float[Tensor, ""]:
        """See `infonce`."""
        return infonce(answers, targets, 1 / self.scale())


class SigmoidLoss(AlignmentLoss):
    """`sigmoid_loss` with a learned temperature and bias.

    Args:
        settings: ``temperature`` is read.
    """

    def __init__(self, settings: AlignmentSettings) -> None:
        super().__init__(settings)
        self.scale = Temperature(settings.temperature, learned=True)
        self.bias = nn.Parameter(torch.tensor(START_BIAS))

    def measure(self, answers: Float[Tensor, "m e"], targets: Float[Tensor, "m e"]) -> Float[Tensor, ""]:
        """See `sigmoid_loss`."""
        return sigmoid_loss(answers, targets, self.scale(), self.bias)


class TransportLoss(AlignmentLoss):
    r"""A loss of the transport plan between answers and targets.

    Args:
        width: Length of the vectors, for a learned metric.
        settings: All but the temperature is read.
        score: From the logarithm of the plan and the costs to a number.
        mass: Share of all mass that is moved.
        of_plan: Whether the score is a mean of :math:`-\log \pi_{ii}`, whose floor is log(b/s).

    Raises:
        ConfigError: A setting is unknown or out of its range.
    """

    def __init__(
        self,
        width: int,
        settings: AlignmentSettings,
        score: Callable[[Tensor, Tensor], Tensor],
        *,
        mass: float | int,
        of_plan: bool = True,
    ) -> None:
        super().__init__(settings)
        check_transport(settings.regularization, settings.iterations, mass)
        self.cost = GroundCost(settings.metric, width)
        self.score, self.mass, self.of_plan = score, mass, of_plan

    def measure(self, answers: Float[Tensor, "m e"], targets: Float[Tensor, "m e"]) -> Float[Tensor, ""]:
        """The score of the plan between answers and targets, in full precision."""
        if len(answers) < 2:
            raise ConfigError(
                "a transport loss of one pair is constant",
                "raise the batch size or slices per volume",
            )
        with without_autocast(answers):
            cost = self.cost(answers, targets)
            with torch.set_grad_enabled(torch.is_grad_enabled() and self.of_plan):
                log_plan = log_partial_transport_plan(
                    cost,
                    mass=self.mass,
                    regularization=self.settings.regularization,
                    iterations=self.settings.iterations,
                )
            return self.score(log_plan, cost)

    def floor(self, pairs: int) -> float:
        """log(b/s) for the losses of the plan, 0 for the transport cost.

        ``weighted-partial-ot`` may lie a little below it: log(b/s) is what it costs when all pairs fit equally
        well, and a plan that leaves some out costs down to log b.

        Args:
            pairs: Number of pairs of all processes.
        """
        return math.log(pairs / self.mass) if self.of_plan else 0.0


def _infonce(width: int, settings: AlignmentSettings) -> AlignmentLoss:
    return InfoNCELoss(settings)


def _sigmoid(width: int, settings: AlignmentSettings) -> AlignmentLoss:
    return SigmoidLoss(settings)


def _ot(width: int, settings: AlignmentSettings) -> AlignmentLoss:
    return TransportLoss(width, settings, lambda log_plan, cost: matched_mass_loss(log_plan), mass=1.0)


def _partial_ot(width: int, settings: AlignmentSettings) -> AlignmentLoss:
    return TransportLoss(width, settings, lambda log_plan, cost: matched_mass_loss(log_plan), mass=settings.mass)


def _weighted_partial_ot(width: int, settings: AlignmentSettings) -> AlignmentLoss:
    return TransportLoss(width, settings, lambda log_plan, cost: kept_mass_loss(log_plan), mass=settings.mass)


def _transport_cost(width: int, settings: AlignmentSettings) -> AlignmentLoss:
    return TransportLoss(width, settings, transport_cost, mass=settings.mass, of_plan=False)


#: Builders by name, from the width of the vectors and the settings.
ALIGNMENT_LOSSES: dict[str, Callable[[int, AlignmentSettings], AlignmentLoss]] = {
    "infonce": _infonce,
    "sigmoid": _sigmoid,
    "ot": _ot,
    "partial-ot": _partial_ot,
    "weighted-partial-ot": _weighted_partial_ot,
    "transport-cost": _transport_cost,
}


def build_alignment_loss(width: int, settings: AlignmentSettings) -> AlignmentLoss:
    """Builds an alignment loss by its name.

    Args:
        width: Length of the vectors that it will compare.
        settings: Its name and what it is made from.

    Raises:
        ConfigError: There is no loss of that name, or a setting is out of its range.

    Example:
        >>> loss = build_alignment_loss(2, AlignmentSettings("partial-ot"))
        >>> round(loss(torch.eye(2), torch.eye(2)).item() - loss.floor(2), 4)
        0.0
    """
    if settings.alignment not in ALIGNMENT_LOSSES:
        raise ConfigError(
            f"there is no alignment loss {settings.alignment!r}", suggest(settings.alignment, ALIGNMENT_LOSSES)
        )
    return ALIGNMENT_LOSSES[settings.alignment](width, settings)
