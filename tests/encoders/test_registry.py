from __future__ import annotations

import pytest
import torch

from med3dinsight.encoders import ENCODERS, create_encoder, list_encoders
from med3dinsight.encoders.encoder import Encoder
from med3dinsight.errors import ConfigError


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", ENCODERS)
def test_the_listed_number_of_parameters_and_tokens_is_that_of_the_network(name: str) -> None:
    with torch.device("meta"):
        encoder = create_encoder(name)
        tokens = encoder(torch.empty(1, 1, 128, 128, 128)).tokens
    row = next(row for row in list_encoders() if row["name"] == name)
    assert row["parameters"] == count(encoder)
    assert row["tokens"] == f"{tokens.shape[1]} x {tokens.shape[2]}"
    assert isinstance(encoder, Encoder)
    assert encoder.embed_dim == tokens.shape[2]


@pytest.mark.parametrize(
    ("name", "published"),
    [("vit", 88.59e6), ("unetr", 88.59e6), ("swin_vit", 38.80e6), ("swin_unetr", 8.06e6), ("nnformer", 29.84e6)],
)
def test_the_full_size_is_the_published_one(name: str, published: float) -> None:
    assert ENCODERS[name].parameters == pytest.approx(published, rel=1e-3)


def test_conv_tiny_has_about_2_3_million_parameters() -> None:
    assert ENCODERS["conv_tiny"].parameters == pytest.approx(2.3e6, rel=0.02)


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="no encoder called conv_tinny") as caught:
        create_encoder("conv_tinny")
    assert caught.value.hint == "did you mean conv_tiny?"
    with pytest.raises(ConfigError) as caught:
        create_encoder("perceiver")
    assert "vit_tiny" in caught.value.hint
