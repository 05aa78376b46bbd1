from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_towers import PICTURE, pictures, save_clip, save_siglip
from transformers import AutoTokenizer, CLIPModel, SiglipModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from med3dinsight.errors import ConfigError, DownloadError
from med3dinsight.towers import load_towers
from med3dinsight.towers.contrastive import ContrastiveTowers
from med3dinsight.towers.model_folder import find_model, model_identity
from med3dinsight.towers.pictures import PictureRecipe
from med3dinsight.towers.registry import weights_identity

pytestmark = pytest.mark.usefixtures("full_precision")

CPU = torch.device("cpu")
TEXTS = ["an axial slice shows lung", "air", "the head " * 40, "", "bone at the upper chest"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_siglip(tmp_path_factory.mktemp("siglip"))


def test_clip_features_are_those_of_transformers_after_its_own_processor(clip: Path) -> None:
    towers = load_towers("clip", CPU, model=str(clip))
    assert (towers.image_width, towers.text_width) == (24, 24)
    seen = pictures(40)
    model, processor = CLIPModel.from_pretrained(clip).eval(), CLIPImageProcessorPil.from_pretrained(clip)
    tokens = AutoTokenizer.from_pretrained(clip)(TEXTS, padding=True, truncation=True, return_tensors="pt")
    inputs = processor([Image.fromarray(one) for one in seen], return_tensors="pt")
    with torch.inference_mode():
        expected = model(pixel_values=inputs["pixel_values"], **tokens)
    _agree(towers.embed_images(seen), expected.image_embeds)
    _agree(towers.embed_texts(TEXTS), expected.text_embeds)


def test_siglip_features_are_those_of_transformers_with_texts_padded_to_full_length(siglip: Path) -> None:
    towers = load_towers("siglip", CPU, model=str(siglip))
    assert (towers.image_width, towers.text_width) == (32, 32)
    seen = pictures(5)
    model, processor = SiglipModel.from_pretrained(siglip).eval(), SiglipImageProcessorPil.from_pretrained(siglip)
    tokens = AutoTokenizer.from_pretrained(siglip)(TEXTS, padding="max_length", truncation=True, return_tensors="pt")
    inputs = processor([Image.fromarray(one) for one in seen], return_tensors="pt")
    with torch.inference_mode():
        expected = model(pixel_values=inputs["pixel_values"], input_ids=tokens["input_ids"])
    _agree(towers.embed_images(seen), expected.image_embeds)
    _agree(towers.embed_texts(TEXTS), expected.text_embeds)


def _agree(features: np.ndarray, expected: torch.Tensor) -> None:
    normalised = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert np.abs(normalised - expected.numpy()).max() < 1e-5
    assert np.ptp(normalised, axis=0).max() > 1e-3, "features of different things differ"


def test_identity_follows_weights_preprocessing_and_vocabulary_and_not_the_place(clip: Path, tmp_path: Path) -> None:
    first = model_identity(clip)
    moved = Path(shutil.copytree(clip, tmp_path / "elsewhere"))
    (moved / "README.md").write_text("words")
    assert model_identity(moved) == first == weights_identity("clip", model=str(moved))
    assert ContrastiveTowers(moved, "clip", CPU).identity == first
    assert model_identity(save_clip(tmp_path / "other seed", seed=1)) != first
    assert model_identity(save_clip(tmp_path / "other resizing", resize=50)) != first


def test_a_pickle_beside_safetensors_does_not_count(clip: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clip, tmp_path / "both"))
    (folder / "pytorch_model.bin").write_bytes(b"not read")
    assert model_identity(folder) == model_identity(clip)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be loaded|holds no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x08"), "cannot be loaded"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "has no preprocessor_config.json"),
        (lambda folder: (folder / "preprocessor_config.json").write_text("{}"), "says not how pictures are prepared"),
        (lambda folder: (folder / "config.json").write_text("[]"), "is not a table of settings"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'), "of type bert, not clip"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
    ],
)
def test_a_damaged_folder_is_an_error_with_its_reason(clip: Path, tmp_path: Path, damage, message: str) -> None:
    folder = Path(shutil.copytree(clip, tmp_path / "damaged"))
    damage(folder)
    with pytest.raises(ConfigError, match=message) as caught:
        load_towers("clip", CPU, model=str(folder))
    assert caught.value.hint


def test_weights_that_are_missing_are_an_error_and_never_random(clip: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clip, tmp_path / "half"))
    state = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in state.items() if "visual_projection" not in name}, folder / "model.safetensors"
    )
    with pytest.raises(ConfigError, match=r"lack 1 parts of the model, visual_projection\.weight among them"):
        load_towers("clip", CPU, model=str(folder))


def test_towers_of_one_type_refuse_a_folder_of_the_other(siglip: Path) -> None:
    with pytest.raises(ConfigError, match="a model of type siglip, not clip"):
        load_towers("clip", CPU, model=str(siglip))


def test_a_name_is_looked_up_at_the_hub_only_when_asked(monkeypatch: pytest.MonkeyPatch, clip: Path) -> None:
    asked: list[str] = []

    def fetch(name: str, **_: object) -> str:
        asked.append(name)
        if name == "nobody/nothing":
            raise OSError("no such repository\nmore words")
        return str(clip)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with pytest.raises(ConfigError, match="no such folder: openai/clip") as caught:
        find_model("openai/clip", hub=False)
    assert "embed.hub=true" in caught.value.hint
    assert not asked
    assert find_model("openai/clip", hub=True) == clip
    assert find_model(str(clip), hub=True) == clip
    assert asked == ["openai/clip"], "a folder is never asked for"
    with pytest.raises(DownloadError, match="does not give nobody/nothing: no such repository"):
        find_model("nobody/nothing", hub=True)


def test_a_model_is_asked_for_where_towers_need_one_and_refused_where_they_have_their_own() -> None:
    with pytest.raises(ConfigError, match="need a model"):
        load_towers("clip", CPU)
    with pytest.raises(ConfigError, match="minilm-lite takes no model"):
        weights_identity("minilm-lite", model="somewhere")
    assert weights_identity("minilm-lite") is None


def test_a_recipe_of_an_old_file_reads_a_number_as_the_shorter_edge(clip: Path) -> None:
    table = json.loads((clip / "preprocessor_config.json").read_text())
    old = {**table, "size": 40, "crop_size": PICTURE}
    assert PictureRecipe.read(old, "old") == PictureRecipe.read(table, "new")


def test_a_crop_larger_than_the_picture_is_refused(clip: Path) -> None:
    table = json.loads((clip / "preprocessor_config.json").read_text())
    with pytest.raises(ConfigError, match="a crop of"):
        PictureRecipe.read({**table, "size": {"shortest_edge": PICTURE - 1}}, "here")
