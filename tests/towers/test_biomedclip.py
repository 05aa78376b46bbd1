from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_biomedclip import save_biomedclip
from tiny_towers import pictures

from med3dinsight.errors import ConfigError
from med3dinsight.towers import load_towers
from med3dinsight.towers.model_folder import model_identity

pytestmark = pytest.mark.usefixtures("full_precision")

CPU = torch.device("cpu")
TEXTS = ["an axial slice shows lung", "air", "the head " * 40, "", "bone at the upper chest"]
#: The first four features of each, of the same folder read by open_clip 3.3.0 with timm 1.0.31 and torchvision 0.29.1.
PICTURES_BY_OPEN_CLIP = [
    [-0.262547, -0.690098, 2.262439, -1.152984],
    [-1.147261, -0.032599, 2.06445, -0.196991],
    [-1.354945, -0.378931, 1.095269, -0.002686],
    [-1.276189, -0.009999, 0.919957, -1.146122],
    [0.127382, 0.085471, 1.748559, -1.18469],
    [-2.320972, -0.522919, 1.354412, 0.306384],
]
TEXTS_BY_OPEN_CLIP = [
    [-0.104915, 0.144678, -0.18391, 0.371966],
    [-0.166646, 0.169938, -0.132043, 0.354006],
    [-0.164966, 0.20408, -0.125418, 0.351316],
    [-0.124747, 0.207215, -0.11477, 0.319487],
    [-0.099116, 0.165524, -0.16311, 0.354754],
]


def test_features_are_those_of_open_clip(tmp_path: Path) -> None:
    towers = load_towers("biomedclip", CPU, model=str(save_biomedclip(tmp_path)))
    images, texts = towers.embed_images(pictures(6)), towers.embed_texts(TEXTS)
    assert images.shape == (6, towers.image_width)
    assert texts.shape == (5, towers.text_width)
    assert np.abs(images[:, :4] - PICTURES_BY_OPEN_CLIP).max() < 1e-5
    assert np.abs(texts[:, :4] - TEXTS_BY_OPEN_CLIP).max() < 1e-5
    assert towers.identity == model_identity(tmp_path)


def test_the_pickle_that_is_published_gives_the_same_features(tmp_path: Path) -> None:
    folder = save_biomedclip(tmp_path)
    expected = load_towers("biomedclip", CPU, model=str(folder)).embed_images(pictures(2))
    state = load_file(folder / "open_clip_model.safetensors")
    state["text.transformer.embeddings.position_ids"] = torch.arange(16)[None]
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    (folder / "open_clip_model.safetensors").unlink()
    towers = load_towers("biomedclip", CPU, model=str(folder))
    assert np.array_equal(towers.embed_images(pictures(2)), expected)


def _another_build(folder: Path) -> None:
    table = json.loads((folder / "open_clip_config.json").read_text())
    table["model_cfg"]["vision_cfg"] = {"layers": 12, "width": 768, "patch_size": 16}
    (folder / "open_clip_config.json").write_text(json.dumps(table))


def _without(key: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        state = load_file(folder / "open_clip_model.safetensors")
        save_file({name: v for name, v in state.items() if name != key}, folder / "open_clip_model.safetensors")

    return damage


def _another_way_to_resize(folder: Path) -> None:
    table = json.loads((folder / "open_clip_config.json").read_text())
    table["preprocess_cfg"]["resize_mode"] = "longest"
    (folder / "open_clip_config.json").write_text(json.dumps(table))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_another_build, "another build than BiomedCLIP"),
        (_without("visual.trunk.blocks.1.attn.qkv.bias"), r"do not fit: .*blocks\.1\.attn\.qkv\.bias"),
        (_without("visual.head.proj.weight"), r"do not fit: .*visual\.head\.proj\.weight"),
        (_another_way_to_resize, "resizes pictures by"),
        (lambda folder: (folder / "open_clip_model.safetensors").write_bytes(b"\x01"), "no weights to read"),
        (lambda folder: (folder / "open_clip_model.safetensors").unlink(), "holds no weights|no weights to read"),
        (lambda folder: (folder / "open_clip_config.json").unlink(), "has no open_clip_config.json"),
    ],
)
def test_a_folder_that_does_not_fit_is_an_error_with_its_reason(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(save_biomedclip(tmp_path))
    with pytest.raises(ConfigError, match=message) as caught:
        load_towers("biomedclip", CPU, model=str(tmp_path))
    assert caught.value.hint
