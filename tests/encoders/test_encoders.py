from __future__ import annotations

import math
from contextlib import AbstractContextManager

import pytest
import torch

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.encoder import token_positions
from med3dinsight.errors import ConfigError
from med3dinsight.training.precision import autocast

SMALL = [
    ("conv_tiny", 32, 8),
    ("vit_tiny", 32, 8),
    ("unetr_tiny", 32, 16),
    ("primus_tiny", 32, 8),
    ("vit2d_adapted_tiny", 32, 8),
    ("swin_vit_tiny", 32, 16),
    ("swin_unetr_tiny", 64, 32),
    ("nnformer_tiny", 32, 16),
]


@pytest.mark.parametrize(("name", "size", "patch"), SMALL)
def test_tokens_lie_on_the_grid_in_c_order_and_maps_go_from_fine_to_coarse(name: str, size: int, patch: int) -> None:
    encoder = create_encoder(name, image_size=size)
    encoded = encoder(torch.rand(2, 1, size, size, size))
    assert encoded.grid == (size // patch,) * 3
    assert encoded.tokens.shape == (2, math.prod(encoded.grid), encoder.embed_dim)
    edges = [feature.shape[-1] for feature in encoded.pyramid]
    assert edges == sorted(edges, reverse=True)


@pytest.mark.parametrize(("name", "size", "patch"), SMALL)
def test_every_parameter_gets_a_gradient(name: str, size: int, patch: int) -> None:
    encoder = create_encoder(name, image_size=size)
    encoded = encoder(torch.rand(1, 1, size, size, size))
    # Not their squares, whose sum is the same for all tokens that end in a norm.
    sum((each * torch.randn_like(each)).sum() for each in (encoded.tokens, *encoded.pyramid)).backward()
    learning = {key: value for key, value in encoder.named_parameters() if value.requires_grad}
    assert not [key for key, value in learning.items() if value.grad is None or not value.grad.abs().sum() > 0]


@pytest.mark.parametrize(("name", "size", "patch"), SMALL)
def test_a_token_looks_most_at_the_part_of_the_volume_where_it_lies(name: str, size: int, patch: int) -> None:
    """Within half of a token for a transformer; convolutions of stride 2 look a little further down each axis."""
    torch.manual_seed(0)
    encoder = create_encoder(name, image_size=size)
    volume = torch.rand(1, 1, size, size, size, requires_grad=True)
    encoded = encoder(volume)
    positions = token_positions(encoded.grid)
    places = (torch.stack(torch.meshgrid(*[torch.arange(size)] * 3, indexing="ij"), -1) + 0.5) / size
    middle = [row for row, place in enumerate(positions) if size == 2 * patch or ((place - 0.5).abs() < 0.3).all()]
    assert len(middle) == 8
    for token in middle:
        (slope,) = torch.autograd.grad(encoded.tokens[0, token, 0], volume, retain_graph=True)
        weight = slope[0, 0].square()
        centre = (weight.unsqueeze(-1) * places).sum((0, 1, 2)) / weight.sum()
        assert (centre - positions[token]).abs().max() < (
            0.6 if name in ("conv_tiny", "nnformer_tiny") else 0.5
        ) * patch / size


def test_token_positions_are_the_centres_of_the_patches() -> None:
    positions = token_positions((2, 4, 1)).reshape(2, 4, 1, 3)
    assert positions[:, 0, 0, 0].tolist() == [0.25, 0.75]
    assert positions[1, :, 0, 1].tolist() == [0.125, 0.375, 0.625, 0.875]
    assert set(positions[..., 2].flatten().tolist()) == {0.5}


def test_conv_tiny_takes_any_size() -> None:
    encoded = create_encoder("conv_tiny")(torch.rand(1, 1, 8, 24, 17))
    assert encoded.grid == (1, 3, 3)


@pytest.mark.parametrize(("size", "nearest"), [(40, "such as 32 or 48"), (100, "such as 96 or 112"), (8, "16 or 32")])
def test_a_size_that_cannot_be_cut_into_patches_is_refused_with_sizes_that_can(size: int, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"{size} voxels cannot be cut into patches of 16") as caught:
        create_encoder("unetr_tiny", image_size=size)
    assert nearest in caught.value.hint


def least_cosine(encoder: torch.nn.Module, volume: torch.Tensor, mixed: AbstractContextManager[object]) -> float:
    """Of the gradients of weights (not of biases and norms, many of which are zero but for rounding)."""
    learned = [value for value in encoder.parameters() if value.ndim > 1]
    direction = torch.randn_like(encoder(volume).tokens)

    def gradients() -> list[torch.Tensor]:
        return torch.autograd.grad((encoder(volume).tokens.float() * direction).sum(), learned)

    exact = gradients()
    with mixed:
        trained = gradients()
    pairs = zip(exact, trained, strict=True)
    return min(float(torch.cosine_similarity(one.flatten(), other.flatten(), dim=0)) for one, other in pairs)


@pytest.mark.parametrize("size", [16, 24, 32])
def test_gradients_in_training_precision_are_those_of_fp32(size: int) -> None:
    torch.manual_seed(0)
    volume = torch.rand(2, 1, size, size, size)
    assert least_cosine(create_encoder("conv_tiny"), volume, autocast(torch.device("cpu"), size)) > 0.99


@pytest.mark.parametrize(
    ("name", "size", "layout"),
    [
        ("mednext_tiny", 16, "channels first"),
        ("mednext_tiny", 16, "channels last"),
        ("mednext_s", 32, "channels last"),
        ("conv_tiny", 16, "channels last"),
        ("vit_tiny", 16, "channels last"),
    ],
)
def test_gradients_in_bf16_are_those_of_fp32_on_maps_of_two_voxels(name: str, size: int, layout: str) -> None:
    """oneDNN's depthwise convolutions give garbage there for channels that lie innermost."""
    torch.manual_seed(0)
    volume = torch.rand(2, size, size, size, 1).movedim(-1, 1)
    if layout == "channels first":
        volume = volume.clone(memory_format=torch.contiguous_format)
    encoder = create_encoder(name, image_size=size)
    assert least_cosine(encoder, volume, torch.autocast("cpu", torch.bfloat16)) > 0.95
