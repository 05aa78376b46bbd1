"""Stage 1 of the method: towers with a joint space are fine-tuned on the slice/text pairs of the training people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from learned_workspace import Toy, pretrain_config
from numpy.typing import NDArray
from safetensors.torch import load_file
from tiny_biomedclip import save_biomedclip
from tiny_towers import pictures, save_clip, save_siglip

from med3dinsight.errors import ConfigError, DivergenceError
from med3dinsight.features import tuning
from med3dinsight.features.config import EmbedConfig
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.records import SliceRef
from med3dinsight.targets.loading import load_targets
from med3dinsight.towers import load_towers
from med3dinsight.workspace.voxel_store import VoxelStore

TUNED = "clip-tuned-tissue"
SAVE = {"clip": save_clip, "siglip": save_siglip, "biomedclip": save_biomedclip}


@pytest.fixture
def captioned(toy: Toy) -> Toy:
    for subject in ("anna", "bert", "cleo"):
        toy.add(subject)
    toy.prepare()
    toy.caption()
    return toy


def settings(model: Path, **changes: object) -> dict[str, object]:
    return {
        "towers": "clip",
        "model": str(model),
        "projection": "tuned",
        "tuning_steps": 3,
        "tuning_rate": 1e-3,
        "tuning_batch": 16,
        "held_out": ("cleo",),
        **changes,
    }


def changed(before: Path, after: Path) -> set[str]:
    old, new = load_file(before / "model.safetensors"), load_file(after / "model.safetensors")
    assert old.keys() == new.keys()
    return {name for name, value in old.items() if not torch.equal(value, new[name])}


def bar(store: VoxelStore, ref: SliceRef) -> NDArray[np.uint8]:
    """A picture that shows plane and position of a slice, over noise."""
    picture = np.random.default_rng(ref.index).integers(0, 40, (32, 32)).astype(np.uint8)
    place = slice(int(26 * ref.relative_position), int(26 * ref.relative_position) + 6)
    whole = slice(None)
    picture[((place, whole), (whole, place), (place, place))[ref.plane]] = 220
    return picture


@pytest.mark.parametrize(("mode", "rate", "gain"), [("full", 2e-3, 0.15), ("lora", 2e-2, 0.03)])
def test_tuning_raises_retrieval_on_people_it_was_not_tuned_on(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, rate: float, gain: float
) -> None:
    for subject in ("anna", "bert", "cleo"):
        toy.add(subject)
    toy.prepare()
    slices = toy.caption(text=lambda ref: f"plane={int(ref.plane)} at={ref.relative_position:.2f}")
    monkeypatch.setattr(tuning, "picture_of", bar)
    model = save_clip(tmp_path / "clip")
    result = toy.embed(**settings(model, tuning=mode, tuning_steps=80, tuning_rate=rate, tuning_batch=32))
    assert result.retrieval_people == "held out"
    assert len(slices) == 3 * 4 * result.texts, "four slices of a person share a text: 0.25 is the most there is"
    assert result.retrieval_after > result.retrieval_before + gain
    assert result.text_to_image_after > result.text_to_image_before + gain


@pytest.mark.parametrize(
    ("mode", "parts"),
    [
        ("projections", {"visual_projection.weight", "text_projection.weight"}),
        ("lora", {"q_proj.weight", "v_proj.weight"}),
        ("full", {"fc1.weight", "q_proj.weight", "visual_projection.weight", "token_embedding.weight"}),
    ],
)
def test_each_mode_trains_its_own_weights_and_no_others(
    captioned: Toy, tmp_path: Path, mode: str, parts: set[str]
) -> None:
    model = save_clip(tmp_path / "clip")
    assert captioned.embed(**settings(model, tuning=mode)).tuned == mode
    found = changed(model, captioned.workspace.features / TUNED / "tissue/tuned")
    assert "logit_scale" not in found
    if mode == "full":
        assert all(any(name.endswith(part) for name in found) for part in parts)
    else:
        assert {part for part in parts if any(name.endswith(part) for name in found)} == parts
        assert all(name.endswith(tuple(parts)) for name in found)


@pytest.mark.parametrize("kind", ["siglip", "biomedclip"])
@pytest.mark.parametrize("mode", ["projections", "lora", "full"])
def test_all_towers_of_a_joint_space_can_be_tuned_and_load_as_towers_of_their_own(
    captioned: Toy, tmp_path: Path, kind: str, mode: str
) -> None:
    model = SAVE[kind](tmp_path / kind)
    captioned.embed(**settings(model, towers=kind, tuning=mode))
    cpu, saved = torch.device("cpu"), captioned.workspace.features / f"{kind}-tuned-tissue/tissue/tuned"
    first, second = load_towers(kind, cpu, model=str(model)), load_towers(kind, cpu, model=str(saved))
    assert first.identity != second.identity
    assert first.embed_images(pictures(3)).shape == second.embed_images(pictures(3)).shape
    assert not np.array_equal(first.embed_images(pictures(3)), second.embed_images(pictures(3)))


def test_people_who_are_held_out_change_nothing_of_what_is_learned(
    captioned: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, shown = save_clip(tmp_path / "clip"), []
    draw = tuning.picture_of

    def watched(store, ref):  # type: ignore[no-untyped-def]
        shown.append(store.cases[ref.crop.case].subject)
        return draw(store, ref)

    monkeypatch.setattr(tuning, "picture_of", watched)
    result = captioned.embed(**settings(model))
    gallery = sum(person == "cleo" for person in shown)
    assert result.retrieval_people == "held out"
    assert 0 < gallery == len(shown) - 3 * 16, "beyond the batches only held-out people are shown, to be measured"


def test_a_second_run_tunes_nothing_and_other_features_settings_keep_the_model(
    captioned: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_clip(tmp_path / "clip")
    first = captioned.embed(**settings(model))
    weights = (captioned.workspace.features / TUNED / "tissue/tuned/model.safetensors").read_bytes()
    assert captioned.embed(**settings(model)).done_before
    (captioned.workspace.features / TUNED / "tissue/stage.json").unlink()
    monkeypatch.setattr(tuning, "_train", None)
    again = captioned.embed(**settings(model))
    assert {**again.__dict__} == {**first.__dict__}
    monkeypatch.undo()
    captioned.embed(**settings(model, seed=1))
    assert (captioned.workspace.features / TUNED / "tissue/tuned/model.safetensors").read_bytes() != weights


def test_after_a_kill_while_tuning_it_ends_with_the_same_weights(
    captioned: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_clip(tmp_path / "clip")
    captioned.embed(**settings(model, name="undisturbed"))

    def killed(folder: Path, result: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        captioned.embed(**settings(model, name="killed"))
    folder = captioned.workspace.features / "killed/tissue"
    assert not (folder / "tuned").exists()
    monkeypatch.undo()
    captioned.embed(**settings(model, name="killed"))
    assert sorted(path.name for path in folder.glob("tuned*")) == ["tuned"]
    undisturbed = captioned.workspace.features / "undisturbed/tissue/tuned/model.safetensors"
    assert (folder / "tuned/model.safetensors").read_bytes() == undisturbed.read_bytes()


@pytest.mark.parametrize("when", ["all", "drawn"])
def test_pretraining_matches_the_tuned_features(captioned: Toy, tmp_path: Path, when: str) -> None:
    model = save_clip(tmp_path / "clip")
    captioned.embed(**settings(model, when=when))
    images, texts = load_targets(captioned.workspace, TUNED, "tissue")
    assert images.shape[1] == texts.shape[1] == 24
    assert np.isfinite(pretrain(pretrain_config(towers=TUNED, steps=1), captioned.workspace).final_loss)


@pytest.mark.slow
def test_other_processes_embed_with_the_tuned_towers(captioned: Toy, tmp_path: Path) -> None:
    model = save_clip(tmp_path / "clip")
    one = captioned.embed(**settings(model, name="one"))
    two = captioned.embed(**settings(model, name="two", workers=2))
    assert one == two
    for file in ("image.npy", "tissue/text.npy"):
        features = [(captioned.workspace.features / name / file).read_bytes() for name in ("one", "two")]
        assert features[0] == features[1]


def test_towers_tuned_on_shuffled_texts_can_be_shown_the_true_ones(captioned: Toy, tmp_path: Path) -> None:
    captioned.caption("shuffled", text=lambda ref: f"plane={(int(ref.plane) + 1) % 3} at={ref.relative_position:.4f}")
    control = settings(save_clip(tmp_path / "clip"))
    captioned.embed("shuffled", **control)
    name, features = "clip-tuned-shuffled", captioned.workspace.features
    shown, _ = load_targets(captioned.workspace, name, "shuffled")
    model = str(features / name / "shuffled/tuned")
    captioned.embed(towers="clip", model=model, name=name, projection="none")
    assert captioned.embed("shuffled", **control).done_before, "it is the same towers"
    images, texts = load_targets(captioned.workspace, name, "shuffled", texts_of="tissue")
    assert torch.equal(images, shown)
    assert torch.equal(texts, load_targets(captioned.workspace, name, "tissue")[1])


def test_tuned_towers_do_not_touch_the_features_of_the_towers_they_came_from(captioned: Toy, tmp_path: Path) -> None:
    model = save_clip(tmp_path / "clip")
    captioned.embed(towers="clip", model=str(model))
    captioned.embed(**settings(model))
    assert captioned.embed(towers="clip", model=str(model)).done_before


def test_features_of_another_model_in_the_same_folder_end_the_word_of_the_other_captioners(
    captioned: Toy, tmp_path: Path
) -> None:
    first, second = save_clip(tmp_path / "a"), save_clip(tmp_path / "b", seed=1)
    captioned.caption("template")
    captioned.embed(towers="clip", model=str(first))
    captioned.embed("template", towers="clip", model=str(first))
    assert captioned.embed(towers="clip", model=str(first)).done_before
    captioned.embed("template", towers="clip", model=str(second))
    assert not captioned.embed(towers="clip", model=str(first)).done_before


def test_towers_without_a_joint_space_tune_maps_behind_them_as_ever(captioned: Toy) -> None:
    result = captioned.embed(projection="tuned", tuning_steps=2)
    assert result.tuned == "linear"
    assert not list(captioned.workspace.features.glob("*/*/tuned"))
    with pytest.raises(ConfigError, match="which toy do not have"):
        captioned.embed(projection="tuned", tuning="lora")


def test_a_loss_that_is_not_finite_ends_tuning_and_leaves_no_model(
    captioned: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "infonce", lambda *_: torch.tensor(float("nan")))
    model = save_clip(tmp_path / "clip")
    with pytest.raises(DivergenceError, match="the loss of tuning is nan at step 0"):
        captioned.embed(**settings(model))
    assert not (captioned.workspace.features / TUNED / "tissue/tuned").exists()


def test_settings_of_tuning_belong_to_the_identity_only_where_towers_are_tuned() -> None:
    assert EmbedConfig(tuning_rank=3, tuning="full").identity() == EmbedConfig().identity()
    tuned = EmbedConfig(towers="clip", projection="tuned")
    assert tuned.identity() != EmbedConfig(towers="clip", projection="tuned", tuning_rank=3).identity()
    assert tuned.folder == TUNED
