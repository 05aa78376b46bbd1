from __future__ import annotations

import torch

from med3dinsight.encoders.drop_path import DropPath


def test_whole_samples_are_dropped_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    dropped = DropPath(0.25)(torch.ones(4000, 3, 2))
    assert set(dropped.unique().tolist()) == {0.0, torch.tensor(4 / 3).item()}
    assert torch.equal(dropped, dropped[:, :1, :1].expand_as(dropped))
    assert abs(dropped.mean() - 1) < 0.03


def test_nothing_is_dropped_outside_training() -> None:
    branch = torch.randn(5, 2)
    assert torch.equal(DropPath(0.9).eval()(branch), branch)
