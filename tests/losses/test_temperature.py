from __future__ import annotations

import pytest
import torch

from med3dinsight.errors import ConfigError
from med3dinsight.losses.temperature import Temperature


def test_a_fixed_temperature_is_no_parameter_and_not_in_the_checkpoint() -> None:
    fixed = Temperature(0.1)
    assert fixed().item() == pytest.approx(10)
    assert not list(fixed.parameters())
    assert not fixed.state_dict()


def test_a_learned_scale_stops_at_one_hundred_and_comes_back() -> None:
    learned = Temperature(0.07, learned=True)
    optimizer = torch.optim.SGD(learned.parameters(), lr=1.0)
    for _ in range(5):
        (-learned()).backward()
        optimizer.step()
        optimizer.zero_grad()
        assert learned().item() <= 100.001
    assert learned().item() == pytest.approx(100, rel=1e-4)
    learned().mul(0.01).backward()
    optimizer.step()
    assert learned().item() < 50


@pytest.mark.parametrize("start", [0, -1, 0.009, float("nan"), float("inf")])
def test_temperatures_out_of_range_are_refused(start: float) -> None:
    with pytest.raises(ConfigError, match="temperature"):
        Temperature(start)
