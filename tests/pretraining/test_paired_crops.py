from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from med3dinsight.errors import ConfigError
from med3dinsight.pretraining import paired_crops
from med3dinsight.pretraining.paired_crops import draw_pairs, mean_token, of_somebody_else, refuse_lonely, text_tokens


def test_a_pair_is_two_crops_of_one_volume_and_people_are_numbered(make) -> None:
    _, pool = make("t3d")
    drawn = draw_pairs(np.random.default_rng(0), pool, 9)
    assert all(first.case == second.case and first != second for first, second in drawn.pairs)
    people = [pool.store.cases[first.case].subject for first, _ in drawn.pairs]
    assert [pool.subjects[number] for number in drawn.subjects] == people
    assert {people.count(name) for name in people} == {3}


def test_a_volume_without_a_second_crop_is_paired_with_itself_and_a_pool_of_such_is_refused(make) -> None:
    _, pool = make("t3d")
    single = {subject: dict([next(iter(crops.items()))]) for subject, crops in pool.rows.items()}
    lonely = replace(pool, rows=single)
    assert all(first == second for first, second in draw_pairs(np.random.default_rng(0), lonely, 3).pairs)
    with pytest.raises(ConfigError, match="every volume here has one crop only"):
        refuse_lonely(lonely, "t3d")
    with pytest.raises(ConfigError, match="there is one to pre-train on: anna"):
        refuse_lonely(replace(pool, rows={"anna": pool.rows["anna"]}), "t3d")
    refuse_lonely(replace(pool, rows={**single, "anna": pool.rows["anna"]}), "t3d")


def test_text_tokens_are_those_of_the_slices_that_show_something(make, monkeypatch: pytest.MonkeyPatch) -> None:
    _, pool = make("t3d")
    numbers = torch.arange(len(pool.slices), dtype=torch.float32)[:, None]
    numbered = replace(pool, texts=numbers, images=numbers)
    first, second = list(pool.rows["anna"])[:2]
    shorter = {**pool.rows["anna"], second: pool.rows["anna"][second][:3]}
    numbered = replace(numbered, rows={**pool.rows, "anna": shorter})
    tokens, real = text_tokens(np.random.default_rng(0), numbered, [(first,), (second,), (first, second)])
    for row, crops in enumerate([(first,), (second,), (first, second)]):
        expected = [number for crop in crops for number in numbered.rows_of(crop)]
        assert tokens[row, real[row], 0].tolist() == expected
        assert not tokens[row, ~real[row]].any()
    monkeypatch.setattr(paired_crops, "MOST_TOKENS", 5)
    few, _ = text_tokens(np.random.default_rng(0), numbered, [(first,)])
    assert few.shape == (1, 5, 1)
    assert len(set(few.flatten().tolist()) & set(numbered.rows_of(first))) == 5


def test_the_mean_of_the_tokens_takes_the_real_ones_at_unit_length() -> None:
    tokens = torch.tensor([[[2.0, 0], [0, 5], [9, 9]]])
    assert torch.allclose(mean_token(tokens, torch.tensor([[True, True, False]])), torch.tensor([[0.5, 0.5]]))


def test_texts_of_somebody_else_are_never_ones_own() -> None:
    assert of_somebody_else(torch.tensor([0, 0, 1, 2])).tolist() == [2, 2, 3, 0]
    assert of_somebody_else(torch.tensor([4, 4])) is None
