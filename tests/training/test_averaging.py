from __future__ import annotations

import torch
from torch import nn

from med3dinsight.training.averaging import WeightAverage


def test_the_average_is_the_exponential_one_with_its_warm_up() -> None:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    average = WeightAverage(module, 0.95)
    expected = module.weight.detach().clone()
    for step in range(5):
        with torch.no_grad():
            module.weight.add_(torch.randn(2, 3))
        decay = min(0.95, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module.weight.detach()
        average.update(module)
    assert torch.allclose(average.module.weight, expected, atol=1e-6)


def test_the_average_is_a_copy_that_does_not_learn_and_copies_buffers() -> None:
    module = nn.BatchNorm1d(2)
    average = WeightAverage(module, 0.5)
    module(torch.randn(8, 2))
    average.update(module)
    assert not any(value.requires_grad for value in average.parameters())
    assert torch.equal(average.module.running_mean, module.running_mean)
    assert average.module is not module


def test_a_given_decay_is_taken_as_it_is() -> None:
    module = nn.Linear(1, 1, bias=False)
    average = WeightAverage(module, 0.99)
    start = average.module.weight.clone()
    with torch.no_grad():
        module.weight.add_(1)
    average.update(module, decay=0.75)
    assert torch.allclose(average.module.weight, start + 0.25)


def test_a_copy_shares_nothing_and_keeps_what_is_tied() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    module[2].weight = module[0].weight
    module[0].plain = torch.ones(1)
    average = WeightAverage(module, 0.5)
    copied = average.module
    assert copied[2].weight is copied[0].weight
    own = {value.data_ptr() for value in (*module.parameters(), *module.buffers(), module[0].plain)}
    other = [*copied.parameters(), *copied.buffers(), copied[0].plain]
    assert not own & {value.data_ptr() for value in other}
    assert torch.equal(copied[0].weight, module[0].weight)
