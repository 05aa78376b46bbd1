from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_towers import PICTURE, pictures, save_clip
from transformers import DINOv3ViTConfig, DINOv3ViTModel, ViTConfig, ViTModel
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from med3dinsight.errors import ConfigError
from med3dinsight.towers import load_towers
from med3dinsight.towers.minilm_lite import MiniLMLite

CPU = torch.device("cpu")
_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": PICTURE,
    "patch_size": 8,
}


def save(model: torch.nn.Module, folder: Path) -> Path:
    model.eval().save_pretrained(folder)
    ViTImageProcessorPil(size={"height": PICTURE, "width": PICTURE}).save_pretrained(folder)
    return folder


@pytest.fixture
def dinov3(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return save(DINOv3ViTModel(DINOv3ViTConfig(**_SIZES, num_register_tokens=2)), tmp_path / "dinov3")


@pytest.mark.network
@pytest.mark.usefixtures("full_precision")
def test_dinov3_sees_pictures_as_transformers_does_and_minilm_reads_the_texts(dinov3: Path, towers: MiniLMLite) -> None:
    pair = load_towers("dinov3", CPU, model=str(dinov3))
    assert (pair.image_width, pair.text_width) == (32, 384)
    seen = pictures(5)
    inputs = ViTImageProcessorPil.from_pretrained(dinov3)([Image.fromarray(one).convert("RGB") for one in seen])
    pixels = torch.from_numpy(np.stack(inputs["pixel_values"]))
    with torch.inference_mode():
        expected = DINOv3ViTModel.from_pretrained(dinov3).eval()(pixel_values=pixels).pooler_output.numpy()
    assert np.abs(pair.embed_images(seen) - expected).max() < 1e-5
    texts = ["Axial CT in the upper third.", "air"]
    assert np.abs(pair.embed_texts(texts) - towers.embed_texts(texts)).max() < 0.02
    assert pair.identity != load_towers("dinov3", CPU, model=str(_with_other_mean(dinov3))).identity


def _with_other_mean(folder: Path) -> Path:
    table = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**table, "image_mean": [0.1, 0.2, 0.3]}))
    return folder


@pytest.mark.network
@pytest.mark.usefixtures("full_precision", "weights")
def test_a_pooler_that_was_never_trained_is_not_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = save(ViTModel(ViTConfig(**_SIZES), add_pooling_layer=False), tmp_path / "vit")
    first, second = (load_towers("dinov3", CPU, model=str(folder)).embed_images(pictures(3)) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_pair_of_towers_is_no_image_tower(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a model of type clip, no image tower"):
        load_towers("dinov3", CPU, model=str(save_clip(tmp_path / "clip")))
