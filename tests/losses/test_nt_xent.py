from __future__ import annotations

import math

import pytest
import torch
from monai.losses import ContrastiveLoss

from med3dinsight.errors import ConfigError
from med3dinsight.losses.nt_xent import nt_xent


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("size", [2, 7])
def test_it_is_monais(size: int, temperature: float) -> None:
    first, second = torch.randn(2, size, 5, generator=torch.Generator().manual_seed(size)).unbind(0)
    assert nt_xent(first, second, temperature).item() == pytest.approx(
        ContrastiveLoss(temperature=temperature)(first, second).item(), rel=1e-5
    )


def test_views_that_are_all_alike_lose_what_chance_loses() -> None:
    alike = torch.ones(5, 3)
    assert nt_xent(alike, alike).item() == pytest.approx(math.log(9), rel=1e-5)


def test_one_volume_has_nothing_to_be_told_from() -> None:
    with pytest.raises(ConfigError, match="at least two volumes"):
        nt_xent(torch.ones(1, 3), torch.ones(1, 3))
