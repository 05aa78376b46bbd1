from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from med3dinsight.errors import ConfigError
from med3dinsight.losses import infonce


def by_hand(answers: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """-log of the right pair's share, row by row and column by column."""
    similarity = torch.stack([torch.stack([F.cosine_similarity(v, t, dim=0) for t in targets]) for v in answers])
    share = (similarity / temperature).exp()
    rows = -(share.diagonal() / share.sum(1)).log().mean()
    columns = -(share.diagonal() / share.sum(0)).log().mean()
    return (rows + columns) / 2


@given(pairs=st.integers(2, 9), width=st.integers(2, 6), temperature=st.floats(0.05, 5), seed=st.integers(0, 99))
def test_value_and_gradient_are_those_of_the_definition(pairs: int, width: int, temperature: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    answers, targets = (torch.randn(pairs, width, generator=generator) for _ in range(2))
    mine = answers.clone().requires_grad_()
    loss = infonce(mine, targets, temperature)
    loss.backward()
    exact = answers.double().requires_grad_()
    expected = by_hand(exact, targets.double(), temperature)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)
    assert torch.allclose(mine.grad.double(), exact.grad, rtol=1e-3, atol=1e-4)


def test_pairs_may_come_in_any_order_as_long_as_they_stay_pairs() -> None:
    torch.manual_seed(0)
    answers, targets, order = torch.randn(7, 4), torch.randn(7, 4), torch.randperm(7)
    loss = infonce(answers, targets)
    assert infonce(answers[order], targets[order]).item() == pytest.approx(loss.item(), rel=1e-5)
    assert infonce(targets, answers).item() == pytest.approx(loss.item(), rel=1e-5)
    assert abs(infonce(answers[order], targets).item() - loss.item()) > 0.1


def test_the_length_of_a_vector_does_not_count() -> None:
    torch.manual_seed(0)
    answers, targets = torch.randn(5, 3), torch.randn(5, 3)
    assert infonce(answers * 7, targets * 0.1).item() == pytest.approx(infonce(answers, targets).item(), rel=1e-5)


def test_answers_that_say_nothing_cost_log_of_the_number_of_pairs() -> None:
    torch.manual_seed(0)
    targets = torch.cat([torch.randn(6, 3), torch.zeros(6, 1)], 1)
    orthogonal = torch.tensor([[0.0, 0.0, 0.0, 2.0]]).expand(6, 4)
    assert infonce(orthogonal, targets).item() == pytest.approx(math.log(6), rel=1e-6)
    assert infonce(torch.ones(6, 3), torch.ones(6, 3)).item() == pytest.approx(math.log(6), rel=1e-6)


def test_bf16_answers_are_compared_in_fp32() -> None:
    torch.manual_seed(0)
    answers, targets = torch.randn(64, 16).bfloat16(), torch.randn(64, 16)
    assert infonce(answers, targets).item() == infonce(answers.float(), targets).item()


def test_one_pair_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match="at least two pairs") as caught:
        infonce(torch.ones(1, 3), torch.ones(1, 3))
    assert "slices per volume" in caught.value.hint
