"""Segmentation networks on residual encoders and MedNeXt."""

from __future__ import annotations

import pytest
import torch

from med3dinsight.encoders.mednext import build_mednext
from med3dinsight.encoders.resenc import LARGE, TINY, build_resenc
from med3dinsight.errors import ConfigError
from med3dinsight.networks import NETWORKS, create_network


def noise(network: torch.nn.Module) -> torch.nn.Module:
    """Fills a network with noise: nnU-Net's residual branches start at zero and would hide a difference."""
    torch.manual_seed(0)
    with torch.no_grad():
        for value in network.parameters():
            value.normal_(0, 0.1)
    return network.eval()


def test_the_residual_network_is_the_librarys_with_the_same_weights() -> None:
    network = noise(create_network("resenc_tiny", 3, image_size=32))
    library = build_resenc(TINY, 3, 64, 1).eval()
    missing, unknown = library.load_state_dict(network.state_dict(), strict=False)
    assert not unknown
    # The heads of deep supervision, and the encoder that the library's decoder holds a second time.
    assert all(name.startswith(("decoder.seg_layers.", "decoder.encoder.")) for name in missing)
    volume = torch.rand(2, 1, 32, 16, 24)
    with torch.no_grad():
        assert torch.equal(network(volume), library(volume))


def test_mednext_is_monais_with_the_same_weights() -> None:
    network = noise(create_network("mednext_tiny", 3, image_size=32))
    library = build_mednext("tiny", 3, 64, 1).eval()
    library.load_state_dict({name.removeprefix("encoder."): value for name, value in network.state_dict().items()})
    volume = torch.rand(2, 1, 32, 16, 24)
    with torch.no_grad():
        assert torch.equal(network(volume), library(volume))


@pytest.mark.parametrize("name", ["resenc_tiny", "mednext_tiny"])
def test_scores_have_the_size_of_the_input_and_every_parameter_gets_a_gradient(name: str) -> None:
    network = noise(create_network(name, 4, image_size=16))
    scores = network(torch.rand(2, 1, 16, 16, 16))
    assert scores.shape == (2, 4, 16, 16, 16)
    scores.square().sum().backward()
    assert not [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]


def test_the_large_one_has_the_published_size() -> None:
    """Without the heads of deep supervision, which are 4,632 parameters for six classes."""
    with torch.device("meta"):
        library = sum(value.numel() for value in build_resenc(LARGE, 6, 64, 1).parameters())
    assert library == pytest.approx(102.35e6, rel=1e-3)
    assert NETWORKS["segmentation"]["resenc_l"].parameters == library - 4_632


def test_a_crop_that_is_not_halved_evenly_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(ConfigError, match="a cube of 36 voxels does not fit"):
        create_network("resenc_tiny", 2, image_size=36)
    with pytest.raises(ConfigError, match="a cube of 36 voxels does not fit"):
        create_network("mednext_tiny", 2, image_size=36)
