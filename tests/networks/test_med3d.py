"""Med3D: what dilation instead of stride does to a residual layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from med3dinsight.networks import create_network


def dilated_bottleneck(block: nn.Module, features: Tensor, dilation: int) -> Tensor:
    """He et al. 2016 with the middle convolution dilated, in evaluation."""

    def normalised(value: Tensor, norm: nn.Module) -> Tensor:
        return F.batch_norm(value, norm.running_mean, norm.running_var, norm.weight, norm.bias)

    inner = normalised(F.conv3d(features, block.conv1.weight), block.bn1).relu()
    inner = F.conv3d(inner, block.conv2.weight, padding=dilation, dilation=dilation)
    inner = normalised(inner, block.bn2).relu()
    inner = normalised(F.conv3d(inner, block.conv3.weight), block.bn3)
    if block.downsample is not None:
        features = normalised(F.conv3d(features, block.downsample[0].weight), block.downsample[1])
    return (inner + features).relu()


def test_the_last_two_layers_keep_an_eighth_of_the_size_and_dilate_by_two_and_four() -> None:
    torch.manual_seed(0)
    network = create_network("med3d_tiny", 3).eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm3d):
            nn.init.normal_(norm.running_mean, std=0.1)
    net = network.encoder
    with torch.no_grad():
        features = net.layer2(net.layer1(net.maxpool(net.act(net.bn1(net.conv1(torch.rand(1, 1, 48, 32, 40)))))))
        assert features.shape[2:] == (6, 4, 5)
        for layer, dilation in ((net.layer3, 2), (net.layer4, 4)):
            expected = features
            for block in layer:
                expected = dilated_bottleneck(block, expected, dilation)
            features = layer(features)
            torch.testing.assert_close(features, expected)


def test_scores_are_made_at_a_quarter_of_the_size_and_interpolated() -> None:
    torch.manual_seed(0)
    network = create_network("med3d_tiny", 3).eval()
    seen = []
    network.conv_seg.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        scores = network(torch.rand(1, 1, 32, 16, 40))
    assert seen[0].shape == (1, 3, 8, 4, 10)
    torch.testing.assert_close(scores, F.interpolate(seen[0], size=(32, 16, 40), mode="trilinear"))
