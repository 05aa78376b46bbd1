"""Weights of others: positions, channels and number formats that are adapted."""

from __future__ import annotations

import pytest
import torch
from checkpoints import small
from torch import nn

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.i3resnet import I3ResNet
from med3dinsight.encoders.loading import load_pretrained


def test_position_tables_are_interpolated_to_the_encoders_grid(file) -> None:
    """The same as the encoder built for the file's grid does with volumes of the other size."""
    trained = small(32)
    other = small(16, seed=1)
    report = load_pretrained(other, file(trained.state_dict()))
    volume = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(other(volume).tokens, trained(volume).tokens)
    (row,) = [row for row in report.rows if row.note]
    assert (row.note, row.shape, row.file_shape) == ("positions interpolated from 4³ to 2³", (1, 8, 96), (1, 64, 96))


def test_a_table_of_relative_positions_is_interpolated_axis_by_axis(file) -> None:
    class Windowed(nn.Module):
        def __init__(self, window: int) -> None:
            super().__init__()
            count = (2 * window - 1) ** 3
            self.relative_position_bias_table = nn.Parameter(torch.zeros(count, 2))

    trained, other = Windowed(2), Windowed(3)
    places = torch.arange(3.0).reshape(1, 3, 1).expand(3, 3, 3).reshape(27)
    trained.relative_position_bias_table.data = torch.stack([places, 2 * places], 1)
    report = load_pretrained(other, file(trained.state_dict()))
    maps = other.relative_position_bias_table.detach().reshape(5, 5, 5, 2)
    assert torch.allclose(maps, maps[:1, :, :1].expand_as(maps), atol=1e-6)
    assert torch.allclose(maps[0, :, 0, 0], torch.tensor([0, 0.4, 1, 1.6, 2]), atol=1e-5)
    assert report.rows[0].note == "relative positions interpolated from 3³ to 5³"


@pytest.mark.parametrize(("theirs", "ours"), [(1, 3), (3, 1), (3, 2), (2, 4)])
def test_a_first_layer_of_other_channels_answers_the_same_to_a_copied_grey_volume(file, theirs: int, ours: int) -> None:
    trained, other = small(in_channels=theirs), small(in_channels=ours, seed=1)
    report = load_pretrained(other, file(trained.state_dict()))
    volume = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        expected = trained(volume.expand(-1, theirs, -1, -1, -1)).tokens
        torch.testing.assert_close(other(volume.expand(-1, ours, -1, -1, -1)).tokens, expected, atol=1e-5, rtol=1e-5)
    (row,) = [row for row in report.rows if row.note]
    assert row.name == "vit.patch_embedding.patch_embeddings.weight"
    assert "input channels" in row.note


def test_a_first_layer_that_is_registered_twice_is_adapted_by_either_name(file) -> None:
    trained, other = create_encoder("resenc_tiny"), create_encoder("resenc_tiny", in_channels=2)
    assert load_pretrained(other, file(trained.state_dict())).complete
    first = "stem.convs.0.conv.weight"
    half = trained.state_dict()[first] / 2
    assert torch.equal(other.state_dict()[first], half.expand(-1, 2, -1, -1, -1))
    only_second = {name: value for name, value in trained.state_dict().items() if name != first}
    report = load_pretrained(create_encoder("resenc_tiny", in_channels=2), file(only_second))
    assert report.share == 1


def test_only_the_first_layer_is_adapted_to_other_channels(file) -> None:
    trained, other = I3ResNet((1, 1, 1, 1), 8), I3ResNet((1, 1, 1, 1), 8)
    state = trained.state_dict()
    state["layer1.0.conv2.weight"] = torch.rand(8, 4, 3, 3, 3)
    report = load_pretrained(other, file(state))
    (skipped,) = report.of("skipped")
    (missing,) = report.of("missing")
    assert skipped.name == missing.name == "layer1.0.conv2.weight"
    assert (skipped.file_shape, skipped.shape) == ((8, 4, 3, 3, 3), (8, 8, 3, 3, 3))
    assert skipped.note == "shape or type does not fit"
    assert report.share == pytest.approx(1 - 8 * 8 * 27 / sum(value.numel() for value in other.parameters()))


def test_half_precision_is_widened(file) -> None:
    trained, other = small(), small(seed=1)
    halves = {name: value.bfloat16() for name, value in trained.state_dict().items()}
    load_pretrained(other, file(halves))
    assert all(value.dtype == torch.float32 for value in other.parameters())
    assert all(torch.equal(value, halves[name].float()) for name, value in other.state_dict().items())
