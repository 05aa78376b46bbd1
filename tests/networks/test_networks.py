from __future__ import annotations

import pytest
import torch

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.weights import load_weights, weights_bytes
from med3dinsight.errors import ConfigError
from med3dinsight.networks import NETWORKS, create_network, list_networks

SMALL = [
    ("conv_tiny", 24),
    ("vit_tiny", 16),
    ("unetr_tiny", 32),
    ("setr_tiny", 16),
    ("primus_tiny", 16),
    ("swin_unetr_tiny", 64),
    ("nnformer_tiny", 32),
]


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", NETWORKS["segmentation"])
def test_the_listed_number_of_parameters_is_that_of_the_network(name: str) -> None:
    with torch.device("meta"):
        network = create_network(name, 6)
    assert next(row["parameters"] for row in list_networks() if row["name"] == name) == count(network)


@pytest.mark.parametrize(("name", "published"), [("unetr", 93.03e6), ("swin_unetr", 62.19e6), ("nnformer", 37.62e6)])
def test_the_full_size_is_the_published_one(name: str, published: float) -> None:
    assert NETWORKS["segmentation"][name].parameters == pytest.approx(published, rel=1e-3)


@pytest.mark.parametrize(("name", "size"), SMALL)
def test_scores_have_the_size_of_the_input_and_every_parameter_that_shapes_them_a_gradient(
    name: str, size: int
) -> None:
    torch.manual_seed(0)
    network = create_network(name, 4, image_size=size)
    scores = network(torch.rand(2, 1, size, size, size))
    assert scores.shape == (2, 4, size, size, size)
    scores.square().sum().backward()
    without = {key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()}
    # The neck makes tokens, which the decoder of conv_tiny does not read.
    assert without == ({"encoder.neck.weight", "encoder.neck.bias"} if name == "conv_tiny" else set())


@pytest.mark.parametrize("name", ["conv_tiny", "vit_tiny", "unetr_tiny", "setr_tiny", "primus_tiny"])
def test_weights_of_the_encoder_of_the_same_name_fit(name: str, tmp_path) -> None:
    encoder = create_encoder(name, image_size=16)
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(encoder))
    network = create_network(name, 3, image_size=16)
    load_weights(network.encoder, path)
    volume = torch.rand(1, 1, 16, 16, 16)
    assert torch.equal(network.encoder(volume).tokens, encoder(volume).tokens)


def test_unetr_is_monais_with_the_same_weights() -> None:
    from monai.networks.nets import UNETR

    torch.manual_seed(0)
    network = create_network("unetr_tiny", 3, image_size=32).eval()
    sizes = {"feature_size": 8, "hidden_size": 96, "mlp_dim": 384, "num_heads": 4}
    reference = UNETR(1, 3, 32, **sizes).eval()
    state = network.state_dict()
    named = {name.removeprefix("encoder.").removeprefix("decoder."): value for name, value in state.items()}
    missing, unknown = reference.load_state_dict(named, strict=False)
    assert not unknown
    assert all("norm_cross_attn" in name for name in missing)
    volume = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(volume), reference(volume), atol=1e-5, rtol=1e-5)


def test_conv_tiny_sees_where_a_voxel_lies() -> None:
    """A bright block moves the scores around it more than those of the far corner, on each axis."""
    torch.manual_seed(0)
    network = create_network("conv_tiny", 2).eval()
    volume = torch.rand(1, 1, 32, 32, 32)
    changed = volume.clone()
    changed[..., 2:8, 12:18, 24:30] += 2
    with torch.no_grad():
        moved = (network(changed) - network(volume)).abs().sum(1)[0]
    places = torch.stack(torch.meshgrid(*[torch.arange(32.0)] * 3, indexing="ij"), -1)
    centre = (moved.square().unsqueeze(-1) * places).sum((0, 1, 2)) / moved.square().sum()
    assert torch.allclose(centre, torch.tensor([5.0, 15.0, 27.0]), atol=4)


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="no segmentation network called unet_r") as caught:
        create_network("unet_r", 2)
    assert caught.value.hint == "did you mean unetr?"


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be cut into patches of 16"):
        create_network("unetr_tiny", 2, image_size=24)
