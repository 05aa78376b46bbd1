from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.errors import InputError
from med3dinsight.slices.dealing import derangement

groups_of_items = st.lists(st.integers(0, 8), min_size=2, max_size=60)


@given(groups=groups_of_items, seed=st.integers(0, 1000))
def test_it_is_a_permutation_without_fixed_points(groups: list[int], seed: int) -> None:
    order = derangement(groups, seed)
    assert sorted(order) == list(range(len(groups)))
    assert all(other != item for item, other in enumerate(order))


@given(groups=groups_of_items, seed=st.integers(0, 1000))
def test_as_few_stay_in_their_group_as_can_be(groups: list[int], seed: int) -> None:
    largest = max(Counter(groups).values())
    if largest == len(groups):
        return
    stays = sum(groups[other] == groups[item] for item, other in enumerate(derangement(groups, seed)))
    assert stays == max(0, 2 * largest - len(groups))


@pytest.mark.parametrize("size", [1, 24, 300])
def test_two_groups_of_one_size_exchange_all_they_have(size: int) -> None:
    """Almost no permutation will do here, and still one is found."""
    order = derangement([0] * size + [1] * size, 0)
    assert sorted(order[:size]) == list(range(size, 2 * size))


@given(groups=groups_of_items, seed=st.integers(0, 50))
def test_groups_of_another_kind_never_cost_the_first(groups: list[int], seed: int) -> None:
    others = [item % 3 for item in range(len(groups))]
    largest = max(Counter(groups).values())
    order = derangement(groups, seed, others)
    assert sorted(order) == list(range(len(groups)))
    assert all(other != item for item, other in enumerate(order))
    if largest < len(groups):
        stays = sum(groups[other] == groups[item] for item, other in enumerate(order))
        assert stays == max(0, 2 * largest - len(groups))


@pytest.mark.parametrize("crops", [2, 5])
def test_groups_of_two_kinds_are_left_at_once_where_there_is_room(crops: int) -> None:
    """As many crops with 24 texts each, every text once a crop: neither the own text nor the own crop."""
    texts, own = list(range(24)) * crops, [crop for crop in range(crops) for _ in range(24)]
    for seed in range(5):
        order = derangement(texts, seed, own)
        assert all(texts[other] != texts[item] for item, other in enumerate(order))
        assert all(own[other] != own[item] for item, other in enumerate(order))


def test_the_seed_decides_who_gets_whose() -> None:
    groups = [item // 5 for item in range(50)]
    one, again, other = (derangement(groups, seed, groups) for seed in (3, 3, 4))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_one_item_alone_cannot_be_shuffled() -> None:
    with pytest.raises(InputError, match="one slice alone"):
        derangement(["a"], 0)
