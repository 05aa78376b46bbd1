from __future__ import annotations

import pytest
import torch

from med3dinsight.readouts.online import embedding_spread, has_collapsed, matching_accuracy


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


@pytest.mark.parametrize(("pairs", "width"), [(8, 128), (64, 128), (1000, 128), (80, 512), (64, 8)])
def test_answers_within_a_fraction_of_a_degree_have_collapsed_and_within_a_few_have_not(pairs: int, width: int) -> None:
    torch.manual_seed(0)
    one = torch.nn.functional.normalize(torch.randn(1, width), dim=-1)
    scatter = torch.randn(pairs, width) / width**0.5

    def verdict(degrees: float) -> bool:
        answers = one + torch.tensor(degrees).deg2rad().tan() * scatter
        return has_collapsed(embedding_spread(answers), pairs, width)

    assert verdict(0.0)
    assert verdict(0.3)
    assert not verdict(3.0)


def test_a_handful_of_directions_is_no_collapse() -> None:
    torch.manual_seed(0)
    answers = torch.randn(4, 128)[torch.arange(64) % 4]
    assert not has_collapsed(embedding_spread(answers), 64, 128)


@pytest.mark.parametrize(("pairs", "width"), [(3, 128), (128, 3)])
def test_where_few_directions_are_possible_nothing_is_said(pairs: int, width: int) -> None:
    assert not has_collapsed(1.0, pairs, width)
    assert has_collapsed(1.0, max(pairs, 4), max(width, 4))
