from __future__ import annotations

import pytest
import torch

from med3dinsight.readouts.online import embedding_spread, matching_accuracy


def test_accuracy_is_the_share_of_answers_nearest_to_their_own_target() -> None:
    targets = torch.eye(4)
    answers = targets[[0, 1, 3, 2]] + 0.1
    assert matching_accuracy(answers, targets) == 0.5
    assert matching_accuracy(5 * answers, 0.1 * targets) == 0.5


def test_ties_are_drawn_and_no_order_is_better() -> None:
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert matching_accuracy(targets, targets) == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert matching_accuracy(torch.ones(3, 2), torch.ones(3, 2)) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("directions", "expected"), [(1, 1.0), (3, 3.0), (8, 8.0)])
def test_the_spread_is_the_number_of_directions_in_use(directions: int, expected: float) -> None:
    answers = torch.eye(8)[torch.arange(48) % directions]
    assert embedding_spread(7 * answers) == pytest.approx(expected, rel=1e-4)


def test_collapsed_and_empty_answers_have_a_spread_too() -> None:
    assert embedding_spread(torch.ones(6, 4)) == pytest.approx(1, rel=1e-3)
    assert embedding_spread(torch.zeros(6, 4)) == pytest.approx(1)
