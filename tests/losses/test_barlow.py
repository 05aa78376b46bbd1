from __future__ import annotations

import numpy as np
import pytest
import torch

from med3dinsight.errors import ConfigError
from med3dinsight.losses.barlow import barlow_twins


@pytest.mark.parametrize("weight", [0.0051, 0.5])
def test_its_correlations_are_numpys(weight: float) -> None:
    first, second = torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(0)).unbind(0)
    second = first + 0.5 * second
    correlation = np.corrcoef(first.T.numpy(), second.T.numpy())[:5, 5:]
    own = np.diagonal(correlation)
    expected = ((1 - own) ** 2).sum() + weight * ((correlation**2).sum() - (own**2).sum())
    assert barlow_twins(first, second, weight).item() == pytest.approx(expected, rel=1e-3)


def test_a_correlation_of_one_and_none_across_features_is_perfect() -> None:
    features = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert barlow_twins(features, 3 * features + 7).item() == pytest.approx(0, abs=1e-8)


def test_features_that_repeat_each_other_are_charged_by_the_weight() -> None:
    features = torch.tensor([[1.0, 1], [-1, -1]])
    assert barlow_twins(features, features, 0.25).item() == pytest.approx(2 * 0.25, rel=1e-3)


def test_constant_features_stay_finite_and_one_volume_is_refused() -> None:
    assert torch.isfinite(barlow_twins(torch.ones(4, 3), torch.ones(4, 3)))
    with pytest.raises(ConfigError, match="at least two volumes"):
        barlow_twins(torch.ones(1, 3), torch.ones(1, 3))
