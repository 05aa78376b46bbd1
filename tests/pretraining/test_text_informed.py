from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from med3dinsight.errors import ConfigError
from med3dinsight.pretraining.text_informed import accuracy_among_people, corrupt, with_tokens


def test_what_is_to_be_restored_is_what_was_changed(make) -> None:
    config = make("t3d", mask_block=4)[0].config
    look = np.random.default_rng(9).random((16, 16, 16), dtype=np.float32) * 0.8 + 0.1
    shares = []
    for seed in range(40):
        spoilt, where = corrupt(np.random.default_rng(seed), config, look)
        assert np.array_equal(where, spoilt != look)
        if (blocks := (spoilt == 0).mean()) > 0:
            shares.append(blocks)
    assert 10 <= len(shares) <= 30, "half of the crops lose blocks"
    assert min(shares) >= 0.4 - 1 / 64
    assert max(shares) <= 0.6 + 1 / 64


def test_texts_are_left_out_for_a_share_of_volumes_and_always_without_texts(make) -> None:
    for changes, low, high in [
        ({}, 0.3, 0.7),
        ({"text_dropout": 0.0}, 1, 1),
        ({"text_dropout": 1.0}, 0, 0),
        ({"no_text": True}, 0, 0),
    ]:
        objective, pool = make("t3d", batch_volumes=12, **changes)
        informed = torch.cat([objective.draw(pool, step)["informed"] for step in range(4)])
        assert low <= informed.float().mean() <= high


def test_only_the_first_crop_sees_texts_and_only_where_it_is_informed(make) -> None:
    objective, pool = make("t3d", batch_volumes=3)
    objective.block.gate.data.fill_(1.0)
    inputs = objective.draw(pool, 0)
    inputs["informed"] = torch.tensor([True, False, True])
    changed = {**inputs, "texts": inputs["texts"].roll(1, 2)}
    with torch.no_grad():
        before, after = objective.represent(inputs), objective.represent(changed)
    moved = (before["first"] - after["first"]).abs().amax(1) > 1e-4
    assert moved.tolist() == [True, False, True]
    assert torch.equal(before["second"], after["second"])
    assert (before["restoration"] != after["restoration"]).tolist() == [True, False, True]


def brightness(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Crops of one brightness each, hidden altogether: only the texts say which."""
    shades = torch.linspace(0.1, 0.9, 4)
    texts = torch.nn.functional.one_hot(torch.arange(4), 8).float()[:, None].expand(-1, 3, -1)
    volumes = shades.view(4, 1, 1, 1, 1).expand(-1, 1, 16, 16, 16)
    return {
        **inputs,
        "first": volumes,
        "spoilt": torch.zeros_like(volumes),
        "where": torch.ones_like(volumes, dtype=torch.bool),
        "texts": texts,
        "real": torch.ones(4, 3, dtype=torch.bool),
        "informed": torch.ones(4, dtype=torch.bool),
        "subjects": torch.arange(4),
    }


def test_the_true_text_restores_better_than_a_shuffled_one_once_that_is_learned(make) -> None:
    objective, pool = make("t3d", seed=0)
    inputs = brightness(objective.draw(pool, 0))
    start = objective.read_out(objective.represent(inputs), inputs)
    assert start["restoration_true_text"] == start["restoration_shuffled_text"]
    # A wide gate spares the test the steps in which a decoder that normalises its maps learns to listen.
    objective.block.gate.data.fill_(3.0)
    optimizer = torch.optim.AdamW([*objective.block.parameters(), *objective.decoder.parameters()], lr=1e-3)
    with torch.no_grad():
        encoded = objective.encoder(inputs["spoilt"])
    for _ in range(75):
        optimizer.zero_grad()
        objective._restore(encoded, inputs).mean().backward()
        optimizer.step()
    end = objective.read_out(objective.represent(inputs), inputs)
    assert end["restoration_true_text"] < 0.05
    assert end["restoration_shuffled_text"] > 0.2


def test_the_log_says_how_far_texts_alone_would_go(make) -> None:
    """With the same telling text at every crop of a person, texts alone find the partner."""
    objective, pool = make("t3d", batch_volumes=3)
    people = torch.tensor([pool.subjects.index(pool.store.cases[ref.crop.case].subject) for ref in pool.slices])
    telling = replace(pool, texts=torch.nn.functional.one_hot(people, 8).float())
    inputs = objective.draw(telling, 0)
    assert objective.read_out(objective.represent(inputs), inputs)["text_only_accuracy"] == 1
    dumb = replace(pool, texts=torch.ones(len(pool.slices), 8))
    inputs = objective.draw(dumb, 0)
    assert objective.read_out(objective.represent(inputs), inputs)["text_only_accuracy"] == pytest.approx(1 / 3)


def test_other_crops_of_one_person_are_no_wrong_answers() -> None:
    side = torch.eye(3)
    subjects = torch.tensor([0, 0, 1])
    swapped = side[[1, 0, 2]]
    assert accuracy_among_people(side, swapped, torch.arange(3)) == pytest.approx(1 / 3)
    assert accuracy_among_people(side, swapped, subjects) == pytest.approx((0.5 + 0.5 + 1) / 3)


def test_without_texts_nothing_is_told_of_them(make) -> None:
    objective, pool = make("t3d", no_text=True)
    inputs = objective.draw(pool, 0)
    assert objective.read_out(objective.represent(inputs), inputs).keys() == {"accuracy", "spread"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "multiview", "no_text": True}, "without texts nothing is left of multiview"),
        ({"method": "t3d", "batch_volumes": 1}, "t3d compares volumes and cannot learn from 1"),
    ],
)
def test_what_leaves_nothing_to_learn_is_refused(make, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**changes)


def test_multiview_asks_both_crops_by_texts_of_their_volume(make) -> None:
    objective, pool = make("multiview", slices_per_volume=5)
    inputs = objective.draw(pool, 0)
    represented = objective.represent(inputs)
    assert represented["local"].shape == (4, 2, 5, 96)
    assert represented["volumes"].shape == inputs["report"].shape
    _, texts = pool.features()
    owner = [pool.store.cases[ref.crop.case].subject for ref in pool.slices]
    for row, subject in enumerate(inputs["subjects"].tolist()):
        for query in inputs["queries"][row]:
            same = (texts == query).all(1).nonzero().flatten().tolist()
            assert pool.subjects[subject] in {owner[place] for place in same}


@pytest.mark.parametrize(("encoder", "maps"), [("vit_tiny", 4), ("conv_tiny", 3)])
def test_the_decoder_gets_the_informed_tokens_and_no_old_copy_of_them(make, encoder: str, maps: int) -> None:
    objective, _ = make("t3d", encoder=encoder)
    encoded = objective.encoder(torch.rand(1, 1, 16, 16, 16))
    changed = with_tokens(encoded, encoded.tokens + 1)
    assert torch.equal(changed.tokens, encoded.tokens + 1)
    assert torch.allclose(changed.pyramid[-1], encoded.pyramid[-1] + 1)
    assert len(changed.pyramid) == maps
    assert all(torch.equal(*pair) for pair in zip(changed.pyramid[:-1], encoded.pyramid[:-1], strict=True))
