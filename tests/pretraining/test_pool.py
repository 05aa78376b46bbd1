from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from learned_workspace import CROP, Toy, pretrain_config

from med3dinsight.errors import InputError
from med3dinsight.pretraining.building import build_objective
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.pool import Pool, build_pool
from med3dinsight.pretraining.resolving import resolve
from med3dinsight.pretraining.targets import load_pool
from med3dinsight.records import SliceRef
from med3dinsight.slices.emptiness import is_empty
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.voxel_store import VoxelStore

PEOPLE = ("anna", "bert", "cleo")


@pytest.fixture
def captioned(toy: Toy) -> Toy:
    """Three people, of whom anna has two scans, so that she has twice the crops."""
    for name in PEOPLE:
        toy.add(name)
    toy.add("anna/second", seed=5)
    toy.prepare()
    toy.caption()
    return toy


def numbered_pool(toy: Toy, held_out: tuple[str, ...] = ()) -> Pool:
    """A pool whose features are row numbers, so that a drawn slice can be told."""
    with CaptionStore(toy.workspace.captions) as ledger:
        slices = ledger.slices()
    rows = torch.arange(len(slices), dtype=torch.float32)[:, None]
    return build_pool(VoxelStore(toy.workspace.prepared), slices, rows, -rows, frozenset(held_out))


@dataclass(frozen=True)
class Batch:
    volumes: torch.Tensor
    planes: torch.Tensor
    positions: torch.Tensor
    images: torch.Tensor
    texts: torch.Tensor


def draw_batch(pool: Pool, config: PretrainConfig, slices: int, step: int) -> Batch:
    """What a step of PSAT sees, the features of all slices in one list."""
    resolved = resolve(config.model_copy(update={"slices_per_volume": slices}))
    objective = build_objective(resolved, pool).objective
    assert objective is not None
    inputs = objective.draw(pool, step)
    image, text = (inputs[side].flatten(0, 1) for side in ("image", "text"))
    return Batch(inputs["volumes"], inputs["planes"], inputs["positions"], image, text)


def drawn(pool: Pool, images: torch.Tensor) -> list[SliceRef]:
    return [pool.slices[int(row)] for row in images[:, 0]]


def test_a_batch_is_crops_with_the_planes_positions_and_features_of_their_slices(captioned: Toy) -> None:
    pool = numbered_pool(captioned)
    config = pretrain_config(batch_volumes=3, contrast_augmentation=0.0)
    for step in range(5):
        batch = draw_batch(pool, config, 4, step)
        assert batch.volumes.shape == (3, 1, CROP, CROP, CROP)
        assert torch.equal(batch.texts, -batch.images)
        refs = drawn(pool, batch.images)
        for number, ref in enumerate(refs):
            volume, asked = divmod(number, 4)
            expected = pool.store.crop(ref.crop) / np.float32(255)
            assert torch.allclose(batch.volumes[volume, 0], torch.from_numpy(expected), atol=1e-6)
            assert int(batch.planes[volume, asked]) == int(ref.plane)
            assert float(batch.positions[volume, asked]) == pytest.approx(ref.relative_position)
        assert len({ref.key for ref in refs}) == len(refs), "a slice is asked once a volume"


def test_a_shifted_crop_is_asked_where_its_slices_have_gone(captioned: Toy) -> None:
    """The plane of voxels at the asked position is the slice, whatever the shift."""
    pool = numbered_pool(captioned)
    config = pretrain_config(batch_volumes=3, contrast_augmentation=0.0, shift_voxels=3)
    moved = 0
    for step in range(8):
        batch = draw_batch(pool, config, 4, step)
        for number, ref in enumerate(drawn(pool, batch.images)):
            volume, asked = divmod(number, 4)
            index = float(batch.positions[volume, asked]) * CROP - 0.5
            assert abs(index - round(index)) < 1e-4
            moved += round(index) != ref.index
            if not 0 <= round(index) < CROP:
                continue
            shown = np.take(batch.volumes[volume, 0].numpy() * 255, round(index), ref.plane.axis)
            slice_ = np.take(pool.store.crop(ref.crop), ref.index, ref.plane.axis)
            # The crop has moved along the slice too: the part that both show is at one of few offsets.
            offsets = [(a, b) for a in range(-3, 4) for b in range(-3, 4)]
            assert any(np.abs(_overlap(shown, a, b) - _overlap(slice_, -a, -b)).max() < 0.6 for a, b in offsets)
    assert moved > 20


def _overlap(picture: np.ndarray, a: int, b: int) -> np.ndarray:
    rows = slice(max(a, 0), CROP + min(a, 0))
    columns = slice(max(b, 0), CROP + min(b, 0))
    return picture[rows, columns].astype(np.float32)


def test_the_same_step_draws_the_same_and_another_step_or_seed_something_else(captioned: Toy) -> None:
    pool = numbered_pool(captioned)
    config = pretrain_config(contrast_augmentation=0.6, shift_voxels=2)
    one, again = draw_batch(pool, config, 4, 7), draw_batch(pool, config, 4, 7)
    assert torch.equal(one.volumes, again.volumes)
    assert torch.equal(one.positions, again.positions)
    assert torch.equal(one.images, again.images)
    assert not torch.equal(one.volumes, draw_batch(pool, config, 4, 8).volumes)
    assert not torch.equal(one.volumes, draw_batch(pool, pretrain_config(seed=1), 4, 7).volumes)


def test_people_take_turns_however_many_crops_they_have(captioned: Toy) -> None:
    pool = numbered_pool(captioned)
    config = pretrain_config(batch_volumes=6)
    for step in range(5):
        refs = drawn(pool, draw_batch(pool, config, 1, step).images)
        assert Counter(pool.store.cases[ref.crop.case].subject for ref in refs) == dict.fromkeys(PEOPLE, 2)


def test_people_held_out_are_never_drawn(captioned: Toy) -> None:
    pool = numbered_pool(captioned, held_out=("anna",))
    assert pool.subjects == ["bert", "cleo"]
    for step in range(10):
        refs = drawn(pool, draw_batch(pool, pretrain_config(), 4, step).images)
        assert not [ref for ref in refs if ref.crop.case.startswith("anna")]


def test_contrast_is_changed_and_anatomy_is_not(captioned: Toy) -> None:
    pool = numbered_pool(captioned)
    plain = draw_batch(pool, pretrain_config(contrast_augmentation=0.0), 4, 0)
    curved = draw_batch(pool, pretrain_config(contrast_augmentation=0.9), 4, 0)
    assert torch.equal(plain.images[:4], curved.images[:4])
    one, other = plain.volumes[0].flatten(), curved.volumes[0].flatten()
    assert (one - other).abs().max() > 0.02
    order = one.argsort(stable=True)
    assert (other[order].diff() >= -1e-6).all()


def test_empty_slices_are_never_asked_and_a_pool_of_nothing_is_refused(captioned: Toy) -> None:
    pool = numbered_pool(captioned)
    kept = {row for crops in pool.rows.values() for rows in crops.values() for row in rows}
    empty = {row for row, ref in enumerate(pool.slices) if is_empty(pool.store.crop(ref.crop), ref)}
    assert kept | empty == set(range(len(pool.slices)))
    assert not kept & empty

    class Black(VoxelStore):
        def crop(self, crop):
            return np.zeros((CROP,) * 3, dtype=np.uint8)

    store = Black(captioned.workspace.prepared)
    with pytest.raises(InputError, match="every slice of the training people is empty"):
        build_pool(store, pool.slices, pool.images, pool.texts, frozenset())


def of_few(pool: Pool, crops: int, slices: int) -> Pool:
    """The pool of so many crops a person, and so many slices a crop."""
    rows = {
        subject: {crop: rows[:slices] for crop, rows in list(own.items())[:crops]} for subject, own in pool.rows.items()
    }
    return Pool(pool.store, pool.slices, rows, pool.images, pool.texts)


def test_few_slices_are_asked_as_often_as_needed_and_all_alike(captioned: Toy) -> None:
    small = of_few(numbered_pool(captioned), 1, 2)
    refs = drawn(small, draw_batch(small, pretrain_config(batch_volumes=6), 5, 0).images)
    # Each person's one crop comes twice, and has 10 questions for 2 slices.
    assert list(Counter(ref.key for ref in refs).values()) == [5] * 6


def test_no_slice_comes_twice_in_a_step_while_others_are_left(captioned: Toy) -> None:
    """It would be its own false negative. One crop each of three people, so that each is drawn four times."""
    small = of_few(numbered_pool(captioned), 1, 24)
    for step in range(10):
        refs = drawn(small, draw_batch(small, pretrain_config(batch_volumes=12), 6, step).images)
        assert len({ref.crop for ref in refs}) == 3
        assert len({ref.key for ref in refs}) == 12 * 6


def test_no_crop_comes_twice_in_a_step_while_others_of_its_person_are_left(captioned: Toy) -> None:
    pool = numbered_pool(captioned)
    own = {subject: len(crops) for subject, crops in pool.rows.items()}
    assert own == {"anna": 8, "bert": 4, "cleo": 4}
    for step in range(10):
        crops = pool.draw_crops(np.random.default_rng(step), 18)
        assert [len({crop for crop in crops if crop.case.startswith(name)}) for name in own] == [6, 4, 4]


def test_crops_of_one_volume_are_asked_for_other_places_where_there_are_some(captioned: Toy) -> None:
    pool = numbered_pool(captioned)
    crops = [crop for crop in pool.rows["bert"] if len(pool.rows_of(crop)) >= 12][:2]
    assert len(crops) == 2
    for seed in range(10):
        rows = pool.draw_slices(np.random.default_rng(seed), crops, 8)
        places = [
            (ref.plane, ref.crop.origin[ref.plane.axis] + ref.index)
            for ref in (pool.slices[row] for chosen in rows for row in chosen)
        ]
        assert len(set(places)) == 16


def test_every_slice_is_drawn_as_often_as_any_other(captioned: Toy) -> None:
    """To ask no slice twice must not favour any: K = 1 is the paper's step."""
    pool = of_few(numbered_pool(captioned), 1, 6)
    crop = next(iter(pool.rows["anna"]))
    rng = np.random.default_rng(0)
    for slices in (1, 3):
        counts = Counter(row for _ in range(1200) for row in pool.draw_slices(rng, [crop], slices)[0])
        assert len(counts) == 6
        assert all(abs(count - 200 * slices) < 60 for count in counts.values())


def test_methods_without_features_draw_the_same_crops(captioned: Toy) -> None:
    captioned.embed(held_out=("cleo",))
    store = VoxelStore(captioned.workspace.prepared)
    with_features, without = (
        load_pool(pretrain_config(), captioned.workspace, store, asked) for asked in (True, False)
    )
    assert without.images is None
    assert {s: list(crops) for s, crops in with_features.rows.items()} == {s: list(c) for s, c in without.rows.items()}


def test_without_captions_crops_are_planned(toy: Toy) -> None:
    toy.add("anna")
    toy.prepare()
    config = pretrain_config(crop_size=CROP, crops_per_volume=3)
    pool = load_pool(config, toy.workspace, VoxelStore(toy.workspace.prepared), False)
    assert pool.crop_size == CROP
    assert len(pool.rows["anna"]) == 3
