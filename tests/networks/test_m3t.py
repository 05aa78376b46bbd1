"""M3T: which slices become which tokens, its attention, and its choices that save time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from med3dinsight.errors import ConfigError
from med3dinsight.networks import create_network
from med3dinsight.networks.m3t import M3T
from med3dinsight.networks.m3t_settings import TINY, M3TSettings


def tiny(image_size: int = 16, **choices: object) -> M3T:
    torch.manual_seed(0)
    network = M3T(2, image_size, settings=replace(TINY, **choices))
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(norm.running_mean, std=0.1)
    return network


def test_every_second_coronal_sagittal_and_axial_slice_passes_the_2d_network() -> None:
    network = tiny(slice_stride=2).eval()
    network.volume = nn.Identity()
    volume = torch.rand(2, 8, 6, 6, 6)
    with torch.no_grad():
        features = network.slice_features(volume)
        for plane, axis in enumerate((3, 2, 4)):
            for number, place in enumerate((1, 3, 5)):
                torch.testing.assert_close(features[:, plane, number], network.slices(volume.select(axis, place)))


def test_a_cube_of_n_slices_becomes_3n_and_4_tokens_with_plane_and_position() -> None:
    network = tiny(slice_stride=1, width=16, heads=2)
    nn.init.normal_(network.separator)
    features = torch.rand(1, 3, 16, 256)
    tokens = network.embed(features)
    assert tokens.shape == (1, 3 * 16 + 4, 16)
    plain = tokens - network.positions
    projected = network.project(features)
    torch.testing.assert_close(plain[0, 0], network.class_token[0, 0] + network.planes[0])
    for plane in range(3):
        first = 1 + 17 * plane
        torch.testing.assert_close(plain[0, first : first + 16], projected[0, plane] + network.planes[plane])
        torch.testing.assert_close(plain[0, first + 16], network.separator[0, 0] + network.planes[plane])


def test_attention_is_scaled_before_the_softmax_in_pre_norm_blocks() -> None:
    network = tiny().eval()
    tokens = torch.rand(2, 10, 48) * 5
    with torch.no_grad():
        for layer in network.layers:
            inner = F.layer_norm(tokens, (48,), layer.norm1.weight, layer.norm1.bias)
            mixed = F.linear(inner, layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias)
            q, k, v = (part.unflatten(2, (4, 12)).transpose(1, 2) for part in mixed.chunk(3, 2))
            attended = (q @ k.transpose(2, 3) / 12**0.5).softmax(3) @ v
            expected = tokens + layer.self_attn.out_proj(attended.transpose(1, 2).flatten(2))
            inner = F.layer_norm(expected, (48,), layer.norm2.weight, layer.norm2.bias)
            expected = expected + layer.linear2(F.gelu(layer.linear1(inner)))
            torch.testing.assert_close(layer(tokens), expected)


def test_the_layers_start_from_weights_of_their_own() -> None:
    first, second = tiny().layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_the_paper_is_the_default() -> None:
    with torch.device("meta"):
        network = M3T(2, 128)
    assert network.positions.shape == (1, 388, 256)
    assert (len(network.layers), network.layers[0].self_attn.num_heads) == (8, 8)
    assert network.layers[0].linear1.out_features == 768
    assert [part.kernel_size for part in network.volume if isinstance(part, nn.Conv3d)] == [(5, 5, 5)] * 2
    assert M3TSettings().slice_stride == 1


def test_the_2d_network_has_the_keys_and_shapes_of_torchvisions_resnet50_but_for_the_first_convolution() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in M3T(2, 128).slices.state_dict().items()}
    assert shapes["conv1.weight"] == (64, 32, 7, 7)
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["layer3.5.conv2.weight"] == (256, 256, 3, 3)
    assert shapes["layer4.2.bn3.running_var"] == (2048,)
    # Of its 320 tensors two are the classifier's.
    assert len(shapes) == 318


def test_another_size_interpolates_the_positions_of_slices_alone() -> None:
    network = tiny(16, slice_stride=1, width=16, heads=2)
    at_16, at_31 = network._positions(16), network._positions(31)
    assert at_31.shape == (1, 3 * 31 + 4, 16)
    for plane in range(3):
        torch.testing.assert_close(at_31[0, 32 * (plane + 1)], at_16[0, 17 * (plane + 1)])
        middle = at_31[0, 1 + 32 * plane + 15]
        torch.testing.assert_close(middle, (at_16[0, 1 + 17 * plane + 7] + at_16[0, 1 + 17 * plane + 8]) / 2)
    assert network(torch.rand(1, 1, 20, 20, 20)).shape == (1, 2)


def test_checkpointing_changes_neither_scores_nor_gradients_nor_running_statistics() -> None:
    volume = torch.rand(2, 1, 12, 12, 12)
    results = []
    for checkpointing in (False, True):
        network = tiny(checkpointing=checkpointing)
        scores = network(volume)
        scores.square().sum().backward()
        gradients = {key: value.grad for key, value in network.named_parameters()}
        results.append((scores, gradients, dict(network.named_buffers())))
    torch.testing.assert_close(results[0], results[1])


def test_a_volume_that_is_no_cube_is_refused() -> None:
    with pytest.raises(ConfigError, match="a volume of 16 x 16 x 20 voxels is no cube") as caught:
        tiny()(torch.rand(1, 1, 16, 16, 20))
    assert caught.value.hint == "crop or pad to cubes, such as of 16 or 20 voxels"


def test_a_batch_of_one_small_volume_trains() -> None:
    network = create_network("m3t_tiny", 2, task="classification", image_size=16)
    network(torch.rand(1, 1, 16, 16, 16)).sum().backward()
    assert network.slices.layer4[0].conv1.weight.grad.isfinite().all()
