from __future__ import annotations

from pathlib import Path

import pytest
import torch

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.weights import load_weights, weights_bytes
from med3dinsight.errors import InputError


def test_weights_come_back_bit_for_bit(tmp_path: Path) -> None:
    first, second = create_encoder("vit_tiny", image_size=16), create_encoder("vit_tiny", image_size=16)
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(first))
    assert load_weights(second, path) == len(first.state_dict())
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_an_encoder_can_be_created_with_its_weights(tmp_path: Path) -> None:
    trained = create_encoder("conv_tiny")
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(trained))
    loaded = create_encoder("conv_tiny", pretrained=path)
    volume = torch.rand(1, 1, 16, 16, 16)
    assert torch.equal(loaded(volume).tokens, trained(volume).tokens)


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [("conv_tiny", 16, "0 unknown"), ("vit_tiny", 32, "1 tensors missing or of another shape, 0 unknown")],
)
def test_weights_of_another_encoder_or_size_are_refused_and_nothing_is_loaded(
    tmp_path: Path, name: str, size: int, reason: str
) -> None:
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(create_encoder("vit_tiny", image_size=16)))
    other = create_encoder(name, image_size=size)
    before = {key: value.clone() for key, value in other.state_dict().items()}
    if name == "conv_tiny":
        reason = f"{len(before)} tensors missing or of another shape"
    with pytest.raises(InputError, match=f"does not fit this network: {reason}"):
        load_weights(other, path)
    assert all(torch.equal(value, before[key]) for key, value in other.state_dict().items())


def test_missing_and_damaged_files_are_told_apart(tmp_path: Path) -> None:
    encoder = create_encoder("conv_tiny")
    with pytest.raises(InputError, match="no weights at"):
        load_weights(encoder, tmp_path / "none.safetensors")
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(encoder)[:-100])
    with pytest.raises(InputError, match="no readable safetensors file"):
        load_weights(encoder, path)
