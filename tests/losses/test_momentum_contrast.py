from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from med3dinsight.errors import ConfigError
from med3dinsight.losses.momentum_contrast import momentum_contrast


def test_it_is_the_scaled_cross_entropy_of_one_way() -> None:
    queries, keys = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)).unbind(0)
    total = 0.0
    for row in range(6):
        likeness = [F.cosine_similarity(queries[row], key, dim=0).item() / 0.2 for key in keys]
        total -= likeness[row] - math.log(sum(map(math.exp, likeness)))
    assert momentum_contrast(queries, keys, 0.2).item() == pytest.approx(2 * 0.2 * total / 6, rel=1e-5)


def test_keys_get_no_gradient() -> None:
    queries, keys = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1)).unbind(0)
    queries, keys = queries.clone().requires_grad_(), keys.clone().requires_grad_()
    momentum_contrast(queries, keys).backward()
    assert keys.grad is None
    assert queries.grad is not None
    assert queries.grad.abs().sum() > 0


def test_one_volume_has_nothing_to_be_told_from() -> None:
    with pytest.raises(ConfigError, match="at least two volumes"):
        momentum_contrast(torch.ones(1, 3), torch.ones(1, 3))
