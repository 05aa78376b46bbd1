from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.weights import load_weights, save_weights, weights_bytes
from med3dinsight.errors import DiskFullError, InputError


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


def test_weights_are_written_as_they_are_serialised_and_take_no_memory_to_speak_of(tmp_path: Path) -> None:
    encoder, path = create_encoder("conv_tiny"), tmp_path / "encoder.safetensors"
    tracemalloc.start()
    save_weights(path, encoder, {"encoder": "conv_tiny"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 4
    assert path.read_bytes() == weights_bytes(encoder, {"encoder": "conv_tiny"})


def test_a_full_disk_is_told_as_one_and_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    path = tmp_path / "encoder.safetensors"
    path.write_bytes(b"before")
    monkeypatch.setattr("med3dinsight.encoders.weights.save_file", full)
    with pytest.raises(DiskFullError, match="no space left"):
        save_weights(path, create_encoder("conv_tiny"))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
