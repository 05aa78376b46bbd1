from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learned_workspace import CROP, Toy, pretrain_config

from med3dinsight.errors import InputError
from med3dinsight.pretraining.batches import Pool, build_pool, draw_batch
from med3dinsight.pretraining.targets import derangement, load_pool
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


def test_one_slice_of_a_crop_that_shows_something_is_asked_as_often_as_needed(captioned: Toy) -> None:
    pool = numbered_pool(captioned)
    few = {subject: {crop: rows[:2] for crop, rows in crops.items()} for subject, crops in pool.rows.items()}
    small = Pool(pool.store, pool.slices, few, pool.images, pool.texts)
    assert draw_batch(small, pretrain_config(), 5, 0).planes.shape == (2, 5)


@given(size=st.integers(2, 60), seed=st.integers(0, 50))
def test_a_derangement_leaves_nothing_in_its_place_and_loses_nothing(size: int, seed: int) -> None:
    order = derangement(size, seed)
    assert sorted(order) == list(range(size))
    assert (order != np.arange(size)).all()


def test_shuffled_pairs_give_every_slice_the_image_and_text_of_one_other_training_slice(captioned: Toy) -> None:
    captioned.embed(held_out=("cleo",))
    plain, shuffled = (
        load_pool(
            pretrain_config(held_out=("cleo",), shuffled_pairs=pairs),
            captioned.workspace,
            VoxelStore(captioned.workspace.prepared),
        )
        for pairs in (False, True)
    )
    hidden = np.array([ref.crop.case.startswith("cleo") for ref in plain.slices])
    both = [torch.cat([pool.images, pool.texts], 1) for pool in (plain, shuffled)]
    # Image and text of a row stay together, and none comes from the person held out.
    source = torch.cdist(both[1][~hidden], both[0]).argmin(1)
    assert torch.allclose(both[1][~hidden], both[0][source])
    assert not hidden[source.numpy()].any()
    own = torch.from_numpy(np.flatnonzero(~hidden))
    assert (source == own).float().mean() < 0.05, "rows alike are found again, no more"
