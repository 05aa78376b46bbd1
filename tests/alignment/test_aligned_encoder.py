from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from med3dinsight.alignment import PSATSettings
from med3dinsight.alignment.aligned_encoder import AlignedEncoder, load_aligned, save_aligned
from med3dinsight.encoders.encoder import EncoderOutput
from med3dinsight.errors import ConfigError, InputError, WorkspaceError

SETTINGS = PSATSettings(width=16, num_queries=2, num_heads=2, ffn_width=16, num_positions=4, position_init="normal")


@pytest.mark.parametrize("encoder", ["conv_tiny", "vit_tiny"])
def test_a_saved_encoder_answers_as_before(tmp_path: Path, encoder: str) -> None:
    model = AlignedEncoder(encoder, 16, 8, SETTINGS).eval()
    save_aligned(tmp_path, model, {"subjects": ["anna"]})
    loaded, facts = load_aligned(tmp_path)
    asked = torch.rand(2, 1, 16, 16, 16), torch.tensor([[0, 1, 2], [2, 2, 0]]), torch.rand(2, 3)
    for one, other in zip(model(*asked), loaded.eval()(*asked), strict=True):
        assert torch.equal(one, other)
    assert facts["encoder"] == encoder
    assert facts["subjects"] == ["anna"]
    assert json.loads((tmp_path / "encoder.json").read_text()) == facts


def test_parts_that_are_missing_or_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"encoder.json is missing"):
        load_aligned(tmp_path)
    save_aligned(tmp_path, AlignedEncoder("conv_tiny", 16, 8, SETTINGS), {})
    facts = json.loads((tmp_path / "encoder.json").read_text())
    facts["psat"]["width"] = 32
    (tmp_path / "encoder.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=r"psat.safetensors does not fit"):
        load_aligned(tmp_path)
    (tmp_path / "encoder.safetensors").unlink()
    with pytest.raises(InputError, match="no weights at"):
        load_aligned(tmp_path)


class PatchMeans(nn.Module):
    """The smallest encoder: the mean of each octant, on a line of eight tokens."""

    embed_dim = 6
    widths = ()

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 6)

    def forward(self, volume: Tensor) -> EncoderOutput:
        means = nn.functional.adaptive_avg_pool3d(volume, 2).flatten(1).unsqueeze(-1)
        return EncoderOutput(self.linear(means), (2, 2, 2))


def test_a_module_of_ones_own_is_trained_and_loaded_like_any_encoder(tmp_path: Path) -> None:
    model = AlignedEncoder(PatchMeans(), 16, 8, SETTINGS).eval()
    save_aligned(tmp_path, model, {})
    asked = torch.rand(2, 1, 16, 16, 16), torch.tensor([[0, 1], [2, 2]]), torch.rand(2, 2)
    loaded, facts = load_aligned(tmp_path, encoder=PatchMeans())
    assert torch.equal(model(*asked)[0], loaded.eval()(*asked)[0])
    assert facts["encoder"].endswith("PatchMeans")
    with pytest.raises(ConfigError, match=r"module of your own.*load_aligned\(folder, encoder=module\)"):
        load_aligned(tmp_path)


def test_a_module_that_is_no_encoder_is_refused() -> None:
    with pytest.raises(ConfigError, match="Linear has embed_dim = None"):
        AlignedEncoder(nn.Linear(1, 1), 16, 8, SETTINGS)


def test_files_from_before_a_choice_was_a_setting_mean_its_default(tmp_path: Path) -> None:
    model = AlignedEncoder("conv_tiny", 16, 8, SETTINGS).eval()
    save_aligned(tmp_path, model, {})
    facts = json.loads((tmp_path / "encoder.json").read_text())
    old = [
        "width",
        "num_queries",
        "num_layers",
        "num_heads",
        "ffn_width",
        "num_positions",
        "position_init",
        "pooling",
        "distance_bias",
    ]
    facts["psat"] = {name: facts["psat"][name] for name in old}
    (tmp_path / "encoder.json").write_text(json.dumps(facts))
    assert load_aligned(tmp_path)[0].psat.settings == SETTINGS
    facts["psat"]["colour"] = "red"
    (tmp_path / "encoder.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match="unknown here: colour"):
        load_aligned(tmp_path)
