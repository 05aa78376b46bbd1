"""The controls that give slices the features of others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from learned_workspace import Toy, pretrain_config

from med3dinsight.errors import InputError
from med3dinsight.pretraining.pool import Pool
from med3dinsight.pretraining.targets import load_pool
from med3dinsight.pretraining.wrong_targets import drawn_share, mistake_texts, shuffle_pairs
from med3dinsight.records import Crop
from med3dinsight.workspace.voxel_store import VoxelStore


@pytest.fixture
def work(toy: Toy) -> Toy:
    """Three people, cleo held out; crops reach beyond the ends of their volumes."""
    for name in ("anna", "bert", "cleo"):
        toy.add(name, shape=(14, 30, 14))
    toy.prepare()
    toy.caption()
    toy.embed(held_out=("cleo",))
    return toy


def pool_of(toy: Toy, **changes: object) -> Pool:
    config = pretrain_config(held_out=("cleo",), **changes)
    return load_pool(config, toy.workspace, VoxelStore(toy.workspace.prepared), True)


def numbered(pool: Pool) -> Pool:
    """The pool with row numbers for features, so that it can be told whose they are."""
    rows = torch.arange(len(pool.slices), dtype=torch.float32)[:, None]
    return replace(pool, images=rows, texts=-rows)


def crops_of(pool: Pool, rows: torch.Tensor) -> list[Crop]:
    return [pool.slices[int(row)].crop for row in rows]


def test_some_slices_of_the_scene_are_empty(work: Toy) -> None:
    pool = pool_of(work)
    empty = 1 - len(pool.drawn_rows) / sum(not ref.crop.case.startswith("cleo") for ref in pool.slices)
    assert 0.05 < empty < 0.5
    assert set(pool.drawn_rows) == {row for own in pool.rows.values() for rows in own.values() for row in rows}


def test_shuffled_pairs_are_those_of_one_other_slice_that_is_drawn_and_of_another_crop(work: Toy) -> None:
    pool = numbered(pool_of(work))
    images, texts = shuffle_pairs(pool, 3).features()
    assert torch.equal(texts, -images)
    rows = torch.tensor(pool.drawn_rows)
    source = images[rows, 0].long()
    assert sorted(source.tolist()) == pool.drawn_rows, "nothing of empty slices or of people held out comes in"
    assert all(one != other for one, other in zip(crops_of(pool, rows), crops_of(pool, source), strict=True))
    away = torch.tensor(sorted(set(range(len(pool.slices))) - set(pool.drawn_rows)))
    assert torch.equal(images[away, 0].long(), away)


def test_a_run_with_shuffled_pairs_or_wrong_texts_gets_them(work: Toy) -> None:
    plain = pool_of(work, seed=3)
    for changes, expected in (
        ({"shuffled_pairs": True}, shuffle_pairs(plain, 3)),
        ({"wrong_texts": 0.4}, mistake_texts(plain, 0.4, 3)),
    ):
        pool = pool_of(work, seed=3, **changes)
        for side, wanted, right in zip(pool.features(), expected.features(), plain.features(), strict=True):
            assert torch.equal(side, wanted)
            assert ("wrong_texts" in changes and side is pool.images) == torch.equal(side, right)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 1.0])
def test_just_that_share_of_the_slices_that_are_drawn_has_a_text_that_is_not_theirs(work: Toy, share: float) -> None:
    """In the scene slices at one place of two crops have the same text, and changing them would change nothing."""
    plain = pool_of(work)
    noisy = mistake_texts(plain, share, 0)
    assert torch.equal(plain.features()[0], noisy.features()[0])
    changed = (plain.features()[1] != noisy.features()[1]).any(1)
    drawn = torch.zeros(len(changed), dtype=torch.bool)
    drawn[plain.drawn_rows] = True
    assert not changed[~drawn].any()
    assert int(changed[drawn].sum()) == round(share * int(drawn.sum()))
    # Each text occurs as often as before.
    before, after = (np.sort(pool.features()[1][:, 0].numpy()) for pool in (plain, noisy))
    assert np.array_equal(before, after)


def test_wrong_texts_are_of_other_crops(work: Toy) -> None:
    pool = numbered(pool_of(work))
    texts = mistake_texts(pool, 0.3, 1).features()[1]
    rows = torch.nonzero(texts[:, 0] != pool.features()[1][:, 0])[:, 0]
    source = -texts[rows, 0].long()
    assert set(source.tolist()) <= set(pool.drawn_rows)
    assert all(one != other for one, other in zip(crops_of(pool, rows), crops_of(pool, source), strict=True))


def test_the_seed_decides_what_is_wrong(work: Toy) -> None:
    pool = pool_of(work)
    for deal in (shuffle_pairs, lambda pool, seed: mistake_texts(pool, 0.5, seed)):
        one, again, other = (deal(pool, seed).features()[1] for seed in (3, 3, 4))
        assert torch.equal(one, again)
        assert not torch.equal(one, other)


def test_texts_that_are_all_alike_cannot_be_wrong(work: Toy) -> None:
    pool = pool_of(work)
    with pytest.raises(InputError, match="would keep their text") as caught:
        mistake_texts(replace(pool, texts=torch.ones(len(pool.slices), 4)), 0.5, 0)
    assert "captioner" in caught.value.hint


def test_a_share_is_drawn_without_doubles_and_is_never_one_alone() -> None:
    assert len(set(drawn_share(50, 0.5, 3).tolist())) == 25
    assert len(drawn_share(50, 0.01, 3)) == 2
