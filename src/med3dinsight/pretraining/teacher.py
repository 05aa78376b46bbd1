"""Teachers: slow copies of what is trained, which say what to predict and learn only by following."""

from __future__ import annotations

import math

from torch import nn

from ..training.averaging import WeightAverage


class Teacher(WeightAverage):
    """A slow copy that never trains; it is saved and resumed with the method it belongs to.

    Its momentum rises to 1 along half a cosine, as in BYOL (Grill et al. 2020), MoCo v3 and DINO. It stays in
    evaluation, so that it drops nothing, whatever the student does.

    Args:
        module: The student, copied at once.
        momentum: Where the momentum starts, in [0, 1).
        steps: Steps of the run, at whose end the momentum is 1.
    """

    def __init__(self, module: nn.Module, momentum: float, steps: int) -> None:
        super().__init__(module, momentum)
        self.total = steps
        self.module.eval()

    def train(self, mode: bool = True) -> Teacher:
        """Keeps the copy in evaluation."""
        super().train(mode)
        self.module.eval()
        return self

    def follow(self, module: nn.Module, step: int) -> None:
        """Moves towards the student after a step."""
        self.update(module, momentum_at(step, self.total, self.decay))


def momentum_at(step: int, steps: int, start: float) -> float:
    r"""Returns :math:`1 - (1 - m_0)(\cos(\pi t / T) + 1) / 2`.

    Example:
        >>> momentum_at(0, 100, 0.99), momentum_at(50, 100, 0.99), momentum_at(100, 100, 0.99)
        (0.99, 0.995, 1.0)
    """
    return 1 - (1 - start) * (math.cos(math.pi * step / steps) + 1) / 2
