"""nnU-Net's network against the package that it comes from, and its deep supervision."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from med3dinsight.errors import ConfigError
from med3dinsight.networks import create_network
from med3dinsight.networks.nnunet import FULL, TINY

unet = pytest.importorskip("dynamic_network_architectures.architectures.unet")


def plain_unet(widths: tuple[int, ...], num_classes: int) -> nn.Module:
    return unet.PlainConvUNet(
        1,
        n_stages=len(widths),
        features_per_stage=widths,
        conv_op=nn.Conv3d,
        kernel_sizes=3,
        strides=(1, *[2] * (len(widths) - 1)),
        n_conv_per_stage=2,
        num_classes=num_classes,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        deep_supervision=True,
    )


def test_it_is_the_packages_network_with_the_same_weights_and_scores() -> None:
    torch.manual_seed(0)
    ours = create_network("nnunet_tiny", 3, image_size=32)
    ours.deep_supervision = True
    reference = plain_unet(TINY, 3)
    doubled = {f"decoder.{key}": value for key, value in ours.state_dict().items() if key.startswith("encoder.")}
    reference.load_state_dict({**ours.state_dict(), **doubled})
    volume = torch.rand(1, 1, 16, 16, 32)
    with torch.no_grad():
        for mine, expected in zip(ours(volume), reference(volume), strict=True):
            torch.testing.assert_close(mine, expected)


def test_the_keys_of_a_checkpoint_are_those_of_the_network_but_for_the_doubled_encoder() -> None:
    with torch.device("meta"):
        ours, reference = create_network("nnunet", 6), plain_unet(FULL, 6)
    kept = {key: value.shape for key, value in reference.state_dict().items() if not key.startswith("decoder.encoder.")}
    assert {key: value.shape for key, value in ours.state_dict().items()} == kept


@pytest.mark.parametrize("name", ["nnunet_tiny", "transunet_tiny"])
def test_deep_supervision_gives_scores_fine_to_coarse_in_training_alone(name: str) -> None:
    torch.manual_seed(0)
    network = create_network(name, 3, image_size=16)
    volume = torch.rand(2, 1, 16, 16, 16)
    assert network(volume).shape == (2, 3, 16, 16, 16)
    network.deep_supervision = True
    scores = network(volume)
    assert [tuple(score.shape[2:]) for score in scores] == [(16,) * 3, (8,) * 3, (4,) * 3]
    sum(score.square().mean() for score in scores).backward()
    assert all(value.grad is not None for value in network.parameters())
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(volume), scores[0])


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dynamic_network_architectures.architectures.unet", None)
    with pytest.raises(ConfigError, match="dynamic-network-architectures") as caught:
        create_network("nnunet_tiny", 2, image_size=32)
    assert "nnunet" in caught.value.hint
