"""What a fine-tuning task is to the loop: batches, their loss, and what is said of the cases left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor, nn

#: Scores by name; None where one is undefined.
Scores = Mapping[str, float | None]


class Task(Protocol):
    """A task: segmentation or classification, with its cases."""

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Draws a step's inputs ``(b, 1, x, y, z)`` in [0, 1] and their targets; the same step draws the same."""
        ...

    def loss(self, output: Tensor | list[Tensor], target: Tensor) -> Tensor:
        """Returns the loss of what the network said of a batch; a list under deep supervision."""
        ...

    def predict(self, network: nn.Module, told: Callable[[int], None]) -> Scores | None:
        """Writes what the network says of the test cases, telling how many are done.

        Returns:
            Scores of it, or None where ``evaluate`` finds them.
        """
        ...

    def validate(self, network: nn.Module) -> Scores | None:
        """Returns scores of the validation cases; None without any."""
        ...
