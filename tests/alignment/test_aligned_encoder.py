from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from med3dinsight.alignment import PSATSettings
from med3dinsight.alignment.aligned_encoder import AlignedEncoder, load_aligned, save_aligned
from med3dinsight.errors import InputError, WorkspaceError

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
