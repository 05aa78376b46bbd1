"""Residual encoders, MedNeXt and the inflated ResNet."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from med3dinsight.encoders import ENCODERS, create_encoder
from med3dinsight.encoders.i3resnet import I3ResNet
from med3dinsight.encoders.mednext import build_mednext
from med3dinsight.encoders.resenc import TINY, build_resenc
from med3dinsight.encoders.weights import load_weights, shared_names, weights_bytes
from med3dinsight.errors import ConfigError

NAMES = ["resenc_tiny", "mednext_tiny", "i3resnet_tiny"]
#: How often the last map is smaller than the volume, along x, y, z.
STRIDES = {"resenc_tiny": (8, 8, 8), "mednext_tiny": (8, 8, 8), "i3resnet_tiny": (32, 32, 16)}


def noise(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for value in module.parameters():
            value.normal_(0, 0.1)
    return module


def trained(name: str) -> nn.Module:
    """An encoder whose residual branches say something: they start at zero."""
    torch.manual_seed(0)
    encoder = create_encoder(name)
    for module in encoder.modules():
        if isinstance(module, nn.InstanceNorm3d | nn.BatchNorm3d):
            nn.init.ones_(module.weight)
    return encoder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(32, 32, 32), (32, 64, 48)])
def test_tokens_are_the_voxels_of_the_last_map_in_c_order(name: str, size: tuple[int, int, int]) -> None:
    encoder = trained(name)
    encoded = encoder(torch.rand(2, 1, *size))
    assert encoded.grid == tuple(edge // stride for edge, stride in zip(size, STRIDES[name], strict=True))
    assert encoded.tokens.shape == (2, math.prod(encoded.grid), encoder.embed_dim)
    assert torch.equal(encoded.tokens.transpose(1, 2).unflatten(2, encoded.grid), encoded.pyramid[-1])
    assert tuple(feature.shape[1] for feature in encoded.pyramid) == encoder.widths
    edges = [feature.shape[-1] for feature in encoded.pyramid]
    assert edges == sorted(edges, reverse=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    encoder = trained(name)
    encoder(torch.rand(2, 1, 32, 32, 32)).tokens.square().sum().backward()
    assert not [key for key, value in encoder.named_parameters() if value.grad is None or not value.grad.any()]


@pytest.mark.parametrize("name", NAMES)
def test_every_token_looks_most_near_the_place_where_it_lies(name: str) -> None:
    """At the border the padding pulls the centre of what is seen inwards; a turned axis would move it further."""
    encoder = trained(name).eval()
    volume = torch.rand(1, 1, 64, 64, 64, requires_grad=True)
    encoded = encoder(volume)
    places = torch.stack(torch.meshgrid(*[torch.arange(64.0)] * 3, indexing="ij"), -1)
    for token in ((0, 0, 0), tuple(edge - 1 for edge in encoded.grid), (encoded.grid[0] - 1, 0, 1)):
        score = encoded.pyramid[-1][(0, slice(None), *token)].square().sum()
        (slope,) = torch.autograd.grad(score, volume, retain_graph=True)
        weight = slope[0, 0].square()
        centre = (weight.unsqueeze(-1) * places).sum((0, 1, 2)) / weight.sum()
        expected = (torch.tensor(token) + 0.5) * torch.tensor(STRIDES[name])
        assert (centre - expected).abs().max() < (19 if name == "i3resnet_tiny" else 12), (token, centre, expected)


def test_the_residual_encoder_is_the_librarys_with_the_same_weights() -> None:
    torch.manual_seed(0)
    encoder = trained("resenc_tiny")
    library = build_resenc(TINY, 2, 64, 1).encoder
    library.load_state_dict(encoder.state_dict())
    volume = torch.rand(1, 1, 32, 16, 24)
    with torch.no_grad():
        for ours, theirs in zip(encoder(volume).pyramid, library(volume), strict=True):
            assert torch.equal(ours, theirs)


def test_the_residual_encoder_starts_as_nnunet_starts_it() -> None:
    last = [module.conv2.norm for module in create_encoder("resenc_tiny").modules() if hasattr(module, "conv2")]
    assert len(last) == sum(TINY[1])
    assert not any(norm.weight.any() or norm.bias.any() for norm in last)


@pytest.mark.parametrize(("name", "whole"), [("S", 5.55e6), ("B", 10.51e6), ("M", 17.53e6), ("L", 61.73e6)])
def test_mednext_is_the_encoder_half_of_the_network_with_the_published_size(name: str, whole: float) -> None:
    with torch.device("meta"):
        network = build_mednext(name, 6, 64, 1)  # type: ignore[arg-type]
    assert sum(value.numel() for value in network.parameters()) == pytest.approx(whole, rel=1e-3)
    half = ("stem.", "enc_stages.", "down_blocks.", "bottleneck.")
    count = sum(value.numel() for key, value in network.named_parameters() if key.startswith(half))
    assert ENCODERS[f"mednext_{name.lower()}"].parameters == count


def test_the_large_ones_have_the_published_sizes() -> None:
    assert ENCODERS["resenc_l"].parameters == pytest.approx(90.30e6, rel=1e-3)
    assert ENCODERS["resenc_l"].tokens == "64 x 320"
    assert ENCODERS["i3resnet152"].parameters == pytest.approx(117.4e6, rel=1e-3)


def test_the_inflated_resnet_has_the_published_map_at_the_published_proportions() -> None:
    """2048 x 5 x 4 x 4, slices first; ours puts them last."""
    with torch.device("meta"):
        encoded = create_encoder("i3resnet152")(torch.empty(1, 1, 112, 112, 80))
    assert encoded.grid == (4, 4, 5)
    assert encoded.tokens.shape == (1, 80, 2048)


def test_the_inflated_resnet_takes_a_grey_volume_as_three_equal_channels() -> None:
    torch.manual_seed(0)
    grey, colour = noise(I3ResNet((1, 1, 1, 1), 8)).eval(), I3ResNet((1, 1, 1, 1), 8, in_channels=3).eval()
    colour.load_state_dict(grey.state_dict())
    volume = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(grey(volume).tokens, colour(volume.expand(-1, 3, -1, -1, -1)).tokens)


def test_the_inflated_resnet_is_monais_bottleneck_resnet_with_the_slices_first() -> None:
    """Layers and names from conv1's output on are those of MONAI's ResNet without the time stride of its conv1."""
    from monai.networks.nets import resnet

    torch.manual_seed(0)
    encoder = noise(I3ResNet((1, 2, 1, 1), 8)).eval()
    reference = resnet.ResNet(
        "bottleneck", [1, 2, 1, 1], [8, 16, 32, 64], n_input_channels=3, feed_forward=False, bias_downsample=False
    ).eval()
    reference.conv1 = encoder.conv1
    missing, unknown = reference.load_state_dict(encoder.state_dict(), strict=False)
    assert not missing
    assert not unknown
    volume = torch.rand(1, 1, 48, 40, 32)
    with torch.no_grad():
        turned = volume.permute(0, 1, 4, 2, 3).expand(-1, 3, -1, -1, -1)
        features = reference.maxpool(reference.act(reference.bn1(reference.conv1(turned))))
        for layer, ours in zip(("layer1", "layer2", "layer3", "layer4"), encoder(volume).pyramid, strict=True):
            features = getattr(reference, layer)(features)
            torch.testing.assert_close(ours.permute(0, 1, 4, 2, 3), features, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "nearest"),
    [("resenc_l", 40, "such as 64 or 96"), ("resenc_l", 100, "96 or 128"), ("mednext_s", 16, "32 or 48")],
)
def test_a_size_that_is_not_halved_evenly_is_refused_with_sizes_that_are(name: str, size: int, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"a cube of {size} voxels does not fit a network that shrinks it") as caught:
        create_encoder(name, image_size=size)
    assert nearest in caught.value.hint


@pytest.mark.parametrize(
    ("size", "nearest"), [((32, 32, 20), "32 x 32 x 16 or 32 x 32 x 24"), ((8, 4, 8), "16 x 8 x 8")]
)
@pytest.mark.parametrize("name", ["resenc_tiny", "mednext_tiny"])
def test_volumes_are_held_to_the_same_sizes(name: str, size: tuple[int, int, int], nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"a volume of {size[0]} x {size[1]} x {size[2]} voxels") as caught:
        create_encoder(name)(torch.rand(1, 1, *size))
    assert nearest in caught.value.hint
    good = tuple(int(edge) for edge in nearest.split(" or ", maxsplit=1)[0].split(" x "))
    create_encoder(name)(torch.rand(1, 1, *good))


def test_a_volume_that_is_too_small_for_the_inflated_resnet_is_refused() -> None:
    with pytest.raises(ConfigError, match="32 x 32 x 8 voxels is too small") as caught:
        create_encoder("i3resnet_tiny")(torch.rand(1, 1, 32, 32, 8))
    assert "at least 16" in caught.value.hint


def test_one_small_volume_cannot_train_the_inflated_resnet() -> None:
    encoder, volume = create_encoder("i3resnet_tiny"), torch.rand(1, 1, 32, 32, 16)
    with pytest.raises(ConfigError, match="leaves nothing to normalise in training"):
        encoder(volume)
    for larger in ((2, 1, 32, 32, 16), (1, 1, 33, 32, 16), (1, 1, 32, 32, 17)):
        encoder(torch.rand(*larger))
    encoder.eval()(volume)


def test_without_the_extra_the_command_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dynamic_network_architectures.architectures.unet", None)
    with pytest.raises(ConfigError, match="need the package dynamic-network-architectures") as caught:
        create_encoder("resenc_tiny")
    assert caught.value.hint == "pip install 'med3dinsight[nnunet]'"


def test_a_tensor_with_two_names_is_written_once_and_comes_back_under_both(tmp_path: Path) -> None:
    """The library registers every convolution and norm under two names."""
    from safetensors.torch import load_file

    first, second = trained("resenc_tiny"), create_encoder("resenc_tiny")
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(first))
    shared = shared_names(first)
    assert set(load_file(path)) == set(first.state_dict()) - set(shared)
    assert load_weights(second, path) == len(first.state_dict()) - len(shared)
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    assert shared_names(second) == shared
