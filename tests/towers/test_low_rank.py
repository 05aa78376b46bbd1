from __future__ import annotations

import pytest
import torch
from torch import nn

from med3dinsight.towers.low_rank import LowRankLinear, add_adapters, merge_adapters


def test_adapters_change_nothing_at_first_and_only_the_named_maps_get_one() -> None:
    model = nn.ModuleDict({"q_proj": nn.Linear(8, 8), "fc": nn.Linear(8, 8)})
    x = torch.randn(3, 8)
    before = model["q_proj"](x)
    trained = add_adapters(model, ("q_proj", "v_proj"), rank=2, seed=0)
    assert [tuple(value.shape) for value in trained] == [(2, 8), (8, 2)]
    assert isinstance(model["q_proj"], LowRankLinear)
    assert isinstance(model["fc"], nn.Linear)
    assert torch.equal(model["q_proj"](x), before)


def test_merging_keeps_what_was_learned_and_gives_the_names_back() -> None:
    model = nn.ModuleDict({"q_proj": nn.Linear(8, 6), "fc": nn.Linear(8, 8)})
    names, x = list(model.state_dict()), torch.randn(3, 8)
    start = model["q_proj"](x).detach()
    trained = add_adapters(model, ("q_proj",), rank=2, seed=0)
    with torch.no_grad():
        trained[1].normal_()
    expected = model["q_proj"](x).detach()
    assert (expected - start).abs().max() > 0.1
    merge_adapters(model)
    assert list(model.state_dict()) == names
    torch.testing.assert_close(model["q_proj"](x), expected)


def test_the_correction_has_the_rank_that_was_asked_for() -> None:
    model = nn.ModuleDict({"q_proj": nn.Linear(16, 16)})
    before = model["q_proj"].weight.detach().clone()
    trained = add_adapters(model, ("q_proj",), rank=3, seed=0)
    with torch.no_grad():
        trained[1].normal_()
    merge_adapters(model)
    assert int(torch.linalg.matrix_rank(model["q_proj"].weight - before, rtol=1e-4)) == 3


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_decides_the_start(seed: int) -> None:
    first, second = (
        add_adapters(nn.ModuleDict({"q_proj": nn.Linear(8, 8)}), ("q_proj",), rank=2, seed=number)[0]
        for number in (0, seed)
    )
    assert torch.equal(first, second) == (seed == 0)
