"""Checkpointing beside batch norm."""

from __future__ import annotations

import copy

import torch
from torch import nn

from med3dinsight.networks.checkpointing import checkpoint_with_norms


def test_the_batch_is_counted_once() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    saving = copy.deepcopy(plain)
    pictures = torch.rand(3, 2, 8, 8, requires_grad=True)
    plain(pictures).square().sum().backward()
    checkpoint_with_norms(saving, pictures).square().sum().backward()
    torch.testing.assert_close(dict(saving.named_buffers()), dict(plain.named_buffers()))
    assert saving[1].num_batches_tracked == 1
    for key, value in saving.named_parameters():
        torch.testing.assert_close(value.grad, plain.get_parameter(key).grad)
    assert saving[1].momentum == 0.1


def test_activations_are_computed_again_in_the_backward_pass() -> None:
    calls = []
    module = nn.Linear(3, 3)
    module.register_forward_pre_hook(lambda *_: calls.append(1))
    output = checkpoint_with_norms(module, torch.rand(2, 3, requires_grad=True))
    assert len(calls) == 1
    output.sum().backward()
    assert len(calls) == 2
