from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.errors import ConfigError
from med3dinsight.losses import sigmoid_loss


@given(
    pairs=st.integers(2, 8),
    width=st.integers(2, 5),
    scale=st.floats(0.1, 90),
    bias=st.floats(-20, 5),
    seed=st.integers(0, 99),
)
def test_it_is_binary_cross_entropy_over_all_pairs(
    pairs: int, width: int, scale: float, bias: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    answers, targets = (torch.randn(pairs, width, generator=generator, dtype=torch.float64) for _ in range(2))
    similarity = torch.stack([torch.stack([F.cosine_similarity(v, t, dim=0) for t in targets]) for v in answers])
    expected = F.binary_cross_entropy_with_logits(
        scale * similarity + bias, torch.eye(pairs, dtype=torch.float64), reduction="sum"
    )
    assert sigmoid_loss(answers, targets, scale, bias).item() == pytest.approx(expected.item() / pairs, rel=1e-9)


def test_gradients_are_those_of_finite_differences_for_temperature_and_bias_too() -> None:
    torch.manual_seed(0)
    answers, targets = (torch.randn(4, 3, dtype=torch.float64).requires_grad_() for _ in range(2))
    scale, bias = (torch.tensor(value, dtype=torch.float64).requires_grad_() for value in (10.0, -10.0))
    assert torch.autograd.gradcheck(sigmoid_loss, (answers, targets, scale, bias))


def test_at_the_papers_start_it_costs_nearly_the_bias_of_the_right_pairs() -> None:
    orthogonal = torch.eye(6)
    value = sigmoid_loss(orthogonal[:3], orthogonal[3:])
    assert value.item() == pytest.approx(10 + 3 * math.log1p(math.exp(-10)), rel=1e-4)


def test_one_pair_is_refused() -> None:
    with pytest.raises(ConfigError, match="two pairs"):
        sigmoid_loss(torch.ones(1, 3), torch.ones(1, 3))
