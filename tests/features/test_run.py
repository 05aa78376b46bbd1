from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from learned_workspace import KilledError, Toy, ToyTowers, text_of
from numpy.typing import NDArray

from med3dinsight.errors import ConfigError, WorkspaceError
from med3dinsight.features.config import EmbedConfig
from med3dinsight.features.run import run
from med3dinsight.readouts.online import matching_accuracy
from med3dinsight.records import SliceRef
from med3dinsight.slices.pixels import slice_pixels
from med3dinsight.towers.projection import fit_whitened, load_projections
from med3dinsight.towers.registry import TOWERS, TowerEntry
from med3dinsight.workspace import feature_store
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.feature_memo import MEMO
from med3dinsight.workspace.voxel_store import VoxelStore


@pytest.fixture
def captioned(toy: Toy) -> list[SliceRef]:
    """Three people with four crops each, captioned; more slices than one chunk of features has rows."""
    for subject in ("anna", "bert", "cleo"):
        toy.add(subject)
    toy.prepare()
    slices = toy.caption()
    assert len(slices) > feature_store.CHUNK_ROWS
    return slices


def files(toy: Toy) -> dict[str, bytes]:
    """All that embedding leaves but its records, which carry times, and the memo, whose pages lie as they came."""
    folder = toy.workspace.features
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "stage.json" and not p.name.startswith(MEMO)
    }


def test_rows_are_the_features_of_the_slices_as_displayed_and_of_their_texts(
    toy: Toy, captioned: list[SliceRef]
) -> None:
    result = toy.embed()
    assert (result.slices, result.texts) == (len(captioned), len({text_of(ref) for ref in captioned}))
    store = VoxelStore(toy.workspace.prepared)
    images = feature_store.read(toy.workspace.features / "toy/image.npy")
    texts = feature_store.read(toy.workspace.features / "toy/tissue/text.npy")
    for row in (0, 100, len(captioned) - 1):
        ref = captioned[row]
        picture = slice_pixels(store.volume(ref.crop.case), ref)
        assert np.array_equal(images[row], ToyTowers().embed_images([picture])[0].astype(np.float16))
        assert np.array_equal(texts[row], ToyTowers().embed_texts([text_of(ref)])[0].astype(np.float16))


@pytest.mark.parametrize("killed_in", ["embed_images", "embed_texts"])
def test_after_a_kill_it_goes_on_and_ends_with_the_same_bits(
    toy: Toy, captioned: list[SliceRef], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, killed_in: str
) -> None:
    calls = 0

    def dying(items: Sequence[object]) -> NDArray[np.float32]:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise KilledError
        return getattr(ToyTowers, killed_in)(toy.towers, items)

    monkeypatch.setattr(toy.towers, killed_in, dying)
    with pytest.raises(KilledError):
        toy.embed()
    monkeypatch.setattr(toy.towers, killed_in, lambda items: getattr(ToyTowers, killed_in)(toy.towers, items))
    toy.embed()
    resumed = files(toy)
    assert toy.towers.pictures == len(captioned), "no picture was embedded twice"

    undisturbed = Toy(tmp_path / "undisturbed", toy.towers)
    undisturbed.scans = toy.scans
    undisturbed.prepare()
    undisturbed.caption()
    undisturbed.embed()
    assert files(undisturbed) == resumed


def test_a_second_run_finds_all_done_and_asks_no_tower(toy: Toy, captioned: list[SliceRef]) -> None:
    first = toy.embed()
    asked = toy.towers.pictures, len(toy.towers.texts)
    second = toy.embed()
    assert (first.done_before, second.done_before) == (False, True)
    assert (toy.towers.pictures, len(toy.towers.texts)) == asked
    assert {**first.__dict__, "done_before": True} == second.__dict__


def test_finding_all_done_takes_no_torch(toy: Toy, captioned: list[SliceRef], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOWERS, "minilm-lite", TowerEntry(lambda device: toy.towers, 0, "", ""))
    toy.embed(towers="minilm-lite")
    code = """
import sys
from med3dinsight.features.config import EmbedConfig
from med3dinsight.features import run
from med3dinsight.workspace import Workspace
print(run(EmbedConfig(width=8), Workspace(sys.argv[1])).done_before, "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(toy.workspace.root)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "True False\n", done.stderr


def test_texts_of_the_shuffled_control_are_copied(toy: Toy, captioned: list[SliceRef]) -> None:
    """The same texts in another order ask the text tower nothing, and the pictures are those that are there."""
    toy.embed()
    pictures, asked = toy.towers.pictures, len(toy.towers.texts)
    order = np.random.default_rng(0).permutation(len(captioned))
    dealt = {ref.key: text_of(captioned[other]) for ref, other in zip(captioned, order, strict=True)}
    toy.caption("shuffled", text=lambda ref: dealt[ref.key], shuffle_of="tissue")
    result = toy.embed("shuffled")
    assert (toy.towers.pictures, len(toy.towers.texts)) == (pictures, asked)
    assert result.texts == len({text_of(ref) for ref in captioned})
    own = feature_store.read(toy.workspace.features / "toy/tissue/text.npy")
    assert np.array_equal(feature_store.read(toy.workspace.features / "toy/shuffled/text.npy"), own[order])


def test_other_texts_are_embedded_and_pictures_are_not_embedded_again(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.embed()
    pictures, asked = toy.towers.pictures, set(toy.towers.texts)
    toy.towers.texts.clear()
    toy.caption("template", text=lambda ref: text_of(ref).split(" in=")[0])
    toy.embed("template")
    assert toy.towers.pictures == pictures
    assert set(toy.towers.texts) == {text_of(ref).split(" in=")[0] for ref in captioned}
    assert not set(toy.towers.texts) & asked


def test_projections_are_fitted_without_the_people_held_out_and_tested_on_them(
    toy: Toy, captioned: list[SliceRef]
) -> None:
    result = toy.embed(held_out=("cleo",))
    images = feature_store.read(toy.workspace.features / "toy/image.npy")
    texts = feature_store.read(toy.workspace.features / "toy/tissue/text.npy")
    away = np.array([ref.crop.case.startswith("cleo") for ref in captioned])
    expected = fit_whitened(images[~away], texts[~away], 8)
    saved = load_projections(toy.workspace.features / "toy/tissue/projection.safetensors")
    for one, other in zip(expected, saved, strict=True):
        assert torch.equal(one.matrix, other.matrix)
        assert torch.equal(one.mean, other.mean)
    # As many slices as the gallery takes, so that the draw does not matter.
    assert away.sum() == 96
    unrotated = fit_whitened(images[~away], texts[~away], 8, rotate=False)
    assert result.retrieval_people == "held out"
    for projections, figure in ((unrotated, result.retrieval_before), (expected, result.retrieval_after)):
        assert figure == matching_accuracy(projections[0](images[away]), projections[1](texts[away]))


def test_without_people_held_out_retrieval_is_that_on_the_training_people_and_says_so(
    toy: Toy, captioned: list[SliceRef]
) -> None:
    result = toy.embed()
    assert result.retrieval_people == "training"
    assert result.retrieval_after == result.retrieval_training


def test_tuned_projections_are_another_output(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.embed()
    path = toy.workspace.features / "toy/tissue/projection.safetensors"
    before, pictures = load_projections(path), toy.towers.pictures
    result = toy.embed(projection="tuned", tuning_steps=5)
    assert result.projection == "tuned"
    assert toy.towers.pictures == pictures
    assert not torch.equal(load_projections(path)[0].matrix, before[0].matrix)


def test_the_result_holds_the_keys_of_the_contract(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.embed()
    record = json.loads((toy.workspace.features / "toy/tissue/stage.json").read_text())
    assert {"slices", "texts", "towers", "retrieval_before", "retrieval_after"} <= set(record["result"])


@pytest.mark.parametrize(
    ("held_out", "message"),
    [(("dora",), "subject dora is not in the workspace"), (("anna", "bert", "cleo"), "every subject is held out")],
)
def test_people_to_hold_out_must_be_there_and_leave_some(
    toy: Toy, captioned: list[SliceRef], held_out: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        toy.embed(held_out=held_out)


def test_unknown_towers_are_refused_before_anything_is_read(toy: Toy) -> None:
    with pytest.raises(ConfigError, match="no towers called toys") as caught:
        run(EmbedConfig(towers="toys"), toy.workspace)
    assert caught.value.hint == "did you mean toy?"


def test_missing_and_outdated_captions_are_refused_with_the_verb_to_run(toy: Toy, captioned: list[SliceRef]) -> None:
    with pytest.raises(WorkspaceError, match="captions/template is not complete") as caught:
        toy.embed("template")
    assert "caption --captioner template" in caught.value.hint
    toy.add("dora")
    toy.prepare()
    with pytest.raises(WorkspaceError, match="captions/tissue was made from prepared as it was before") as caught:
        toy.embed()
    assert "caption --captioner tissue` again" in caught.value.hint


def test_slices_of_changed_volumes_are_embedded_again(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.embed()
    before = np.array(feature_store.read(toy.workspace.features / "toy/image.npy"))
    toy.add("bert", seed=1234)
    toy.prepare()
    toy.caption()
    toy.embed()
    changed = (feature_store.read(toy.workspace.features / "toy/image.npy") != before).any(1)
    cases = np.array([ref.crop.case for ref in captioned])
    assert set(cases[changed]) == {case for case in cases if case.startswith("bert")}


def test_the_ledger_is_closed_again(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.embed()
    with CaptionStore(toy.workspace.captions) as ledger:
        ledger.add("other", [("key", "text")])
