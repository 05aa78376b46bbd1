"""``embed.when = "drawn"``: features are computed of what is drawn, once for all runs, in whatever order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from learned_workspace import Toy, ToyTowers, pretrain_config, tensors_of, text_of
from numpy.typing import NDArray

from med3dinsight.errors import WorkspaceError
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.pretraining.targets import load_pool
from med3dinsight.readouts.gallery import build_gallery
from med3dinsight.records import Crop, SliceRef
from med3dinsight.targets.by_crop import CropFeatures
from med3dinsight.targets.loading import load_targets
from med3dinsight.targets.on_demand import FeaturesOnDemand
from med3dinsight.towers.registry import TOWERS, TowerEntry
from med3dinsight.workspace.voxel_store import VoxelStore

PEOPLE = ("anna", "bert", "cleo", "dora", "emil")


class MoodyTowers(ToyTowers):
    """Answers that depend on what else is in the batch, as a network's last bits may; and on a mood."""

    def __init__(self, mood: float = 0.0, meanwhile: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.mood, self.meanwhile = mood, meanwhile

    def embed_images(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        if self.meanwhile is not None:
            self.meanwhile()
        features = super().embed_images(pictures)
        return (features + features.mean() + self.mood).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return super().embed_texts(texts) + np.float32(len(texts)) + np.float32(self.mood)


@pytest.fixture
def captioned(toy: Toy) -> list[SliceRef]:
    """Five people with 96 slices each."""
    for subject in PEOPLE:
        toy.add(subject)
    toy.prepare()
    return toy.caption()


def crop_features(toy: Toy, folder: Path, towers: ToyTowers, slices: list[SliceRef]) -> CropFeatures:
    """Features on demand, with a memo of their own in a folder; texts of the crops of a volume are shared."""
    texts = [text_of(ref) for ref in slices]
    return CropFeatures(folder, "toy", lambda: towers, VoxelStore(toy.workspace.prepared), slices, texts)


def all_features(features: CropFeatures, crops: Sequence[Crop]) -> dict[Crop, bytes]:
    """All bits, asked for in an order."""
    return {crop: features.images(crop).tobytes() + features.texts(crop, 12).tobytes() for crop in crops}


def test_embedding_computes_a_sample_and_pretraining_what_it_draws(toy: Toy, captioned: list[SliceRef]) -> None:
    result = toy.embed(when="drawn", sample=256)
    sampled = toy.towers.pictures
    assert 256 <= sampled == result.slices < len(captioned) - 96
    assert not list((toy.workspace.features / "toy").rglob("*.npy"))
    pretrain(pretrain_config(steps=2), toy.workspace)
    drawn = toy.towers.pictures - sampled
    assert drawn <= 4 * 24, "two steps draw four crops of 24 slices"
    pretrain(pretrain_config(steps=1, warmup_steps=0, batch_volumes=20, run="all-crops"), toy.workspace)
    assert toy.towers.pictures == len(captioned), "in the end each slice has been computed once"


def test_a_second_encoder_and_a_second_seed_compute_nothing(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.embed(when="drawn", sample=256)
    pretrain(pretrain_config(steps=1, warmup_steps=0, batch_volumes=20), toy.workspace)
    asked = toy.towers.pictures, len(toy.towers.texts)
    assert asked[0] == len(captioned)
    pretrain(pretrain_config(steps=1, warmup_steps=0, seed=1, run="seed"), toy.workspace)
    pretrain(pretrain_config(steps=1, warmup_steps=0, encoder="vit_tiny", run="encoder"), toy.workspace)
    assert (toy.towers.pictures, len(toy.towers.texts)) == asked


def test_a_run_that_draws_trains_to_the_same_bits_whoever_was_there_before(
    toy: Toy, captioned: list[SliceRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    towers, bits = MoodyTowers(), []
    monkeypatch.setitem(TOWERS, "toy", TowerEntry(lambda device: towers, 0, "for tests", "the tests"))
    for name, before in (("first", ()), ("later", (3, 4))):
        other = Toy(tmp_path / name, towers)
        other.scans = toy.scans
        other.prepare()
        other.caption()
        other.embed(when="drawn", sample=256)
        for seed in before:
            pretrain(pretrain_config(steps=3, seed=seed, run=f"seed-{seed}"), other.workspace)
        pretrain(pretrain_config(steps=3, run="this"), other.workspace)
        bits.append(tensors_of(other.workspace.pretraining / "this/encoder.safetensors"))
    assert bits[0] == bits[1]


def test_the_order_of_asking_changes_no_bit(toy: Toy, captioned: list[SliceRef], tmp_path: Path) -> None:
    crops = list(dict.fromkeys(ref.crop for ref in captioned))
    forth = all_features(crop_features(toy, tmp_path / "a", MoodyTowers(), captioned), crops)
    back = all_features(crop_features(toy, tmp_path / "b", MoodyTowers(), captioned), crops[::-1])
    assert forth == back
    again = all_features(crop_features(toy, tmp_path / "a", MoodyTowers(mood=5), captioned), crops)
    assert again == forth, "what is known is not computed again"


def test_of_two_who_compute_at_once_both_go_on_with_the_first(
    toy: Toy, captioned: list[SliceRef], tmp_path: Path
) -> None:
    crop = captioned[0].crop
    first = crop_features(toy, tmp_path, MoodyTowers(mood=1), captioned)
    second = crop_features(toy, tmp_path, MoodyTowers(mood=2, meanwhile=lambda: first.images(crop)), captioned)
    assert second.images(crop).tobytes() == first.images(crop).tobytes()


def test_runs_that_compute_at_the_same_time_end_with_the_same_features(
    toy: Toy, captioned: list[SliceRef], tmp_path: Path
) -> None:
    crops = list(dict.fromkeys(ref.crop for ref in captioned))

    def compute(mood: float) -> dict[Crop, bytes]:
        towers = MoodyTowers(mood=mood)
        return all_features(crop_features(toy, tmp_path, towers, captioned), crops if mood % 2 else crops[::-1])

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(compute, range(4)))
    assert all(result == results[0] for result in results)
    assert results[0] == all_features(crop_features(toy, tmp_path, MoodyTowers(mood=9), captioned), crops)


def test_with_all_slices_in_the_sample_targets_are_those_of_embedding_all(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.embed(held_out=("cleo",))
    whole = load_targets(toy.workspace, "toy", "tissue")
    result = toy.embed(held_out=("cleo",), when="drawn")
    drawn = load_targets(toy.workspace, "toy", "tissue")
    assert result.slices == len(captioned)
    rows = torch.randperm(len(captioned))[:100].reshape(4, 25)
    for one, other in zip(whole, drawn, strict=True):
        assert isinstance(one, torch.Tensor)
        assert isinstance(other, FeaturesOnDemand)
        assert other.shape == tuple(one.shape)
        assert torch.allclose(one[rows], other[rows], atol=1e-5)


def test_controls_that_deal_features_out_anew_can_be_drawn_too(toy: Toy, captioned: list[SliceRef]) -> None:
    store = VoxelStore(toy.workspace.prepared)
    pools = []
    for when in ("all", "drawn"):
        toy.embed(when=when)
        config = pretrain_config(wrong_texts=0.5, shuffled_pairs=True)
        pools.append(load_pool(config, toy.workspace, store, features=True))
    rows = torch.tensor(pools[0].drawn_rows)
    for one, other in zip(pools[0].features(), pools[1].features(), strict=True):
        assert torch.allclose(one[rows], other[rows], atol=1e-5)


def test_slices_without_a_text_are_nan_and_never_drawn(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.caption(text=lambda ref: "" if ref.plane == 1 else text_of(ref))
    toy.embed(when="drawn", sample=256)
    _, texts = load_targets(toy.workspace, "toy", "tissue")
    bare = torch.tensor([ref.plane == 1 for ref in captioned])
    assert torch.equal(texts[torch.arange(len(captioned))].isnan().all(1), bare)
    pool = load_pool(pretrain_config(), toy.workspace, VoxelStore(toy.workspace.prepared), features=True)
    assert not bare[pool.drawn_rows].any()


def test_localisation_computes_the_features_that_it_asks_for(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.embed(when="drawn", sample=256, held_out=("anna",))
    gallery = build_gallery(toy.workspace, ["anna"], "toy", "tissue", max_crops=2, seed=0)
    assert gallery.visible.any()
    assert all(side.isfinite().all() for side in gallery.features)


def test_towers_that_have_changed_are_refused_when_something_is_missing(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.embed(when="drawn", sample=256)
    toy.towers.identity = "toy with other weights"  # type: ignore[misc]
    images, _ = load_targets(toy.workspace, "toy", "tissue")
    with pytest.raises(WorkspaceError, match="not those that the projections were fitted with"):
        images[torch.arange(len(captioned))]


def test_going_back_to_all_computes_what_is_missing_and_reads_files(toy: Toy, captioned: list[SliceRef]) -> None:
    toy.embed(when="drawn", sample=256)
    toy.embed()
    assert toy.towers.pictures == len(captioned)
    assert isinstance(load_targets(toy.workspace, "toy", "tissue")[0], torch.Tensor)
