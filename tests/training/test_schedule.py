from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.training.schedule import warmup_cosine


def test_it_is_torchs_linear_warmup_and_cosine_annealing() -> None:
    steps, warmup = 30, 5
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - warmup)
    for step in range(warmup, steps):
        assert warmup_cosine(step, steps, warmup) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-6)
        optimizer.step()
        cosine.step()
    assert [warmup_cosine(step, steps, warmup) for step in range(warmup)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@given(steps=st.integers(1, 200), warmup=st.integers(0, 250))
def test_every_step_has_a_positive_rate_that_rises_and_then_falls(steps: int, warmup: int) -> None:
    rates = [warmup_cosine(step, steps, warmup) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
