"""Slices that a captioner gave no text: they keep their row, and nobody fits, trains or asks with it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from learned_workspace import Toy, pretrain_config, text_of

from med3dinsight.errors import InputError
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.pretraining.targets import load_pool
from med3dinsight.readouts.gallery import build_gallery
from med3dinsight.records import SliceRef
from med3dinsight.towers.projection import fit_whitened, load_projections
from med3dinsight.workspace import feature_store
from med3dinsight.workspace.voxel_store import VoxelStore


def every_third(ref: SliceRef) -> str:
    """The text of a slice, none for a third of the positions."""
    return "" if ref.index % 3 == 0 else text_of(ref)


@pytest.fixture
def people(toy: Toy) -> Toy:
    """Two people, prepared."""
    for subject in ("anna", "bert"):
        toy.add(subject)
    toy.prepare()
    return toy


def test_their_rows_are_marked_and_counted(people: Toy) -> None:
    slices = people.caption(text=every_third)
    result = people.embed()
    bare = np.array([ref.index % 3 == 0 for ref in slices])
    texts = feature_store.read(people.workspace.features / "toy/tissue/text.npy")
    assert np.array_equal(np.isnan(texts).all(1), bare)
    assert np.array_equal(np.isnan(texts).any(1), bare)
    stored = json.loads((people.workspace.features / "toy/tissue/texts.json").read_text())["texts"]
    assert stored == [every_third(ref) or None for ref in slices]
    assert 0 < bare.sum() == result.without_text < len(slices)
    assert (result.slices, result.texts) == (len(slices), len({every_third(ref) for ref in slices} - {""}))
    assert "" not in people.towers.texts


def test_projections_are_fitted_without_them(people: Toy) -> None:
    slices = people.caption(text=every_third)
    people.embed()
    folder = people.workspace.features / "toy"
    told = np.array([ref.index % 3 != 0 for ref in slices])
    images, texts = feature_store.read(folder / "image.npy"), feature_store.read(folder / "tissue/text.npy")
    saved = load_projections(folder / "tissue/projection.safetensors")
    for one, other in zip(fit_whitened(images[told], texts[told], 8), saved, strict=True):
        assert torch.equal(one.matrix, other.matrix)


def test_held_out_people_without_texts_leave_retrieval_to_the_training_people(people: Toy) -> None:
    people.caption(text=lambda ref: "" if ref.crop.case.startswith("bert") else text_of(ref))
    assert people.embed(held_out=("bert",)).retrieval_people == "training"


def test_nobody_to_fit_on_is_refused(people: Toy) -> None:
    people.caption(text=lambda ref: text_of(ref) if ref.crop.case.startswith("bert") else "")
    with pytest.raises(InputError, match="0 slices of the people to fit the projections on have a text of tissue"):
        people.embed(held_out=("bert",))


def test_texts_of_another_captioner_are_copied_past_them(people: Toy) -> None:
    people.caption(text=every_third)
    people.embed()
    asked = len(people.towers.texts)
    people.caption("template", text=lambda ref: "" if ref.plane == 1 else every_third(ref))
    people.embed("template")
    assert len(people.towers.texts) == asked


def test_pretraining_never_draws_them(people: Toy) -> None:
    slices = people.caption(text=every_third)
    people.embed()
    config, store = pretrain_config(), VoxelStore(people.workspace.prepared)
    pool = load_pool(config, people.workspace, store, features=True)
    assert pool.drawn_rows
    assert all(slices[row].index % 3 for row in pool.drawn_rows)
    assert not pool.features()[1][pool.drawn_rows].isnan().any()
    pretrain(pretrain_config(), people.workspace)


def test_pretraining_refuses_people_who_have_no_text_at_all(people: Toy) -> None:
    people.caption(text=lambda ref: "" if ref.crop.case.startswith("bert") else text_of(ref))
    people.embed()
    config, store = pretrain_config(held_out=("anna",)), VoxelStore(people.workspace.prepared)
    with pytest.raises(InputError, match="no slice of the training people has a text"):
        load_pool(config, people.workspace, store, features=True)


def test_localisation_does_not_ask_for_them(people: Toy) -> None:
    people.caption(text=every_third)
    people.embed()
    gallery = build_gallery(people.workspace, ["anna"], "toy", "tissue", max_crops=2, seed=0)
    bare = (gallery.positions * 16 - 0.5).round().long() % 3 == 0
    assert not gallery.visible.flatten(1)[:, bare].any()
    assert gallery.visible.flatten(1)[:, ~bare].any()
    assert all(side.isfinite().all() for side in gallery.features)


def test_localisation_of_people_without_texts_is_refused(people: Toy) -> None:
    people.caption(text=lambda ref: "" if ref.crop.case.startswith("bert") else text_of(ref))
    people.embed()
    with pytest.raises(InputError, match="no slice of bert that shows something has a text"):
        build_gallery(people.workspace, ["bert"], "toy", "tissue", max_crops=2, seed=0)
