from __future__ import annotations

import pytest
import torch
from monai.networks.nets import SwinUNETR

from med3dinsight.encoders.swin import SwinEncoder
from med3dinsight.errors import ConfigError
from med3dinsight.networks import create_network
from med3dinsight.networks.swin_unetr import SwinUNETRSegmenter


def test_scores_are_monais_with_the_same_weights() -> None:
    torch.manual_seed(0)
    encoder = SwinEncoder(2, 12, (2, 2, 2, 2), (1, 2, 3, 6), patch_size=2, token_map=4)
    network = SwinUNETRSegmenter(encoder, 3, in_channels=2)
    reference = SwinUNETR(2, 3, num_heads=(1, 2, 3, 6), feature_size=12)
    names = {key: key.replace("swinViT.", "encoder.") for key in reference.state_dict()}
    names = {key: name if name.startswith("encoder.") else f"decoder.{name}" for key, name in names.items()}
    network.load_state_dict({names[key]: value for key, value in reference.state_dict().items()}, strict=True)
    volume = torch.rand(1, 2, 64, 32, 64)
    scores, expected = network(volume), reference(volume)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-4)
    direction = torch.randn_like(expected)
    for each in (scores, expected):
        (each * direction).sum().backward()
    theirs = {names[key]: value.grad for key, value in reference.named_parameters()}
    for name, value in network.named_parameters():
        # Below one part in a thousand of the largest, what is left is rounding: a bias before an instance norm.
        assert (value.grad - theirs[name]).abs().max() <= 1e-3 * theirs[name].abs().max() + 1e-4, name


def test_sizes_that_do_not_fit_are_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match="a cube of 72 voxels does not fit") as caught:
        create_network("swin_unetr_tiny", 2, image_size=72)
    assert caught.value.hint == "use a multiple of 32, such as 96"
    with pytest.raises(ConfigError, match="a cube of 32 voxels leaves one voxel to normalise"):
        create_network("swin_unetr_tiny", 2, image_size=32)
