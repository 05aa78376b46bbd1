"""Embedding with towers that are loaded from a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from learned_workspace import Toy, pretrain_config
from pydantic import ValidationError
from tiny_towers import save_clip, save_siglip

from med3dinsight.errors import ConfigError, InputError
from med3dinsight.features.config import EmbedConfig
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.targets.loading import load_targets
from med3dinsight.workspace import feature_store


@pytest.fixture
def captioned(toy: Toy) -> Toy:
    for subject in ("anna", "bert"):
        toy.add(subject)
    toy.prepare()
    toy.caption()
    return toy


def test_targets_in_the_towers_own_space_are_their_normalised_features(captioned: Toy, tmp_path: Path) -> None:
    model = save_clip(tmp_path / "clip")
    result = captioned.embed(towers="clip", model=str(model), projection="none")
    images, texts = load_targets(captioned.workspace, "clip", "tissue")
    stored = torch.from_numpy(feature_store.read(captioned.workspace.features / "clip/image.npy").astype(np.float32))
    assert images.shape[1] == texts.shape[1] == 24
    torch.testing.assert_close(images, torch.nn.functional.normalize(stored, dim=-1))
    assert result.retrieval_before == result.retrieval_after


def test_texts_that_are_all_alike_are_an_error_and_not_a_crash(captioned: Toy, tmp_path: Path) -> None:
    model = save_clip(tmp_path / "clip")
    table = json.loads((model / "tokenizer.json").read_text())
    words = table["model"]["vocab"].items()
    table["model"]["vocab"] = {word: number for word, number in words if word.startswith("<")}
    (model / "tokenizer.json").write_text(json.dumps(table))
    with pytest.raises(InputError, match="the texts of tissue all have the same features"):
        captioned.embed(towers="clip", model=str(model))


def test_own_space_is_refused_for_towers_that_share_none(captioned: Toy) -> None:
    with pytest.raises(ConfigError, match="they share no space"):
        captioned.embed(projection="none")


def test_two_models_keep_their_features_under_two_names_and_pretraining_reads_either(
    captioned: Toy, tmp_path: Path
) -> None:
    first, second = save_clip(tmp_path / "a"), save_clip(tmp_path / "b", seed=1)
    captioned.embed(towers="clip", model=str(first), name="first")
    captioned.embed(towers="clip", model=str(second), name="second")
    a, b = (feature_store.read(captioned.workspace.features / name / "image.npy") for name in ("first", "second"))
    assert a.shape == b.shape
    assert not np.array_equal(a, b)
    assert not (captioned.workspace.features / "clip").exists()
    trained = pretrain(pretrain_config(towers="second", steps=1), captioned.workspace)
    assert np.isfinite(trained.final_loss)


def test_features_belong_to_the_weights_and_not_to_their_place(captioned: Toy, tmp_path: Path) -> None:
    model = save_siglip(tmp_path / "siglip")
    captioned.embed(towers="siglip", model=str(model))
    moved = shutil.move(model, tmp_path / "moved")
    assert captioned.embed(towers="siglip", model=str(moved)).done_before
    before = feature_store.read(captioned.workspace.features / "siglip/image.npy").copy()
    save_siglip(tmp_path / "moved", seed=1)
    assert not captioned.embed(towers="siglip", model=str(moved)).done_before
    assert not np.array_equal(before, feature_store.read(captioned.workspace.features / "siglip/image.npy"))


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", ".hidden", "with space"])
def test_a_name_that_is_no_folder_of_the_workspace_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        EmbedConfig(name=name)


def test_settings_that_leave_the_result_alone_leave_the_identity_alone() -> None:
    assert EmbedConfig(hub=True, model="somewhere", name="mine").identity() == EmbedConfig().identity()
