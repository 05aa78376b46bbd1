from __future__ import annotations

import torch
from torch import nn

from med3dinsight.encoders.patches import embed_patches


def test_patches_are_embedded_as_by_the_convolution_with_the_same_gradients() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv3d(2, 5, 4, stride=4)
    volume = torch.randn(3, 2, 8, 12, 4)
    expected = convolution(volume).flatten(2).transpose(1, 2)
    embedded = embed_patches(volume, convolution)
    assert torch.allclose(embedded, expected, atol=1e-5)
    weight = torch.randn_like(expected)
    slopes = [torch.autograd.grad((out * weight).sum(), list(convolution.parameters())) for out in (expected, embedded)]
    for one, other in zip(*slopes, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
