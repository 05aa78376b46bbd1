"""The shuffled control: a true derangement."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.captions.shuffled import derangement, shuffle_texts
from med3dinsight.errors import InputError
from med3dinsight.records import Crop
from med3dinsight.slices.sampling import slices_of_crop

groups_of_items = st.lists(st.integers(0, 8), min_size=2, max_size=60)


@given(groups=groups_of_items, seed=st.integers(0, 1000))
def test_it_is_a_permutation_without_fixed_points(groups: list[int], seed: int) -> None:
    order = derangement(groups, seed)
    assert sorted(order) == list(range(len(groups)))
    assert all(other != item for item, other in enumerate(order))


@given(groups=groups_of_items, seed=st.integers(0, 1000))
def test_nothing_stays_in_its_group_where_that_can_be(groups: list[int], seed: int) -> None:
    if 2 * max(Counter(groups).values()) <= len(groups):
        assert all(groups[other] != groups[item] for item, other in enumerate(derangement(groups, seed)))


@pytest.mark.parametrize("size", [1, 24, 300])
def test_two_groups_of_one_size_exchange_all_they_have(size: int) -> None:
    """Almost no permutation will do here, and still one is found."""
    order = derangement([0] * size + [1] * size, 0)
    assert sorted(order[:size]) == list(range(size, 2 * size))


def test_the_seed_decides_who_gets_whose() -> None:
    groups = [item // 5 for item in range(50)]
    assert derangement(groups, 3) == derangement(groups, 3) != derangement(groups, 4)


def test_one_item_alone_cannot_be_shuffled() -> None:
    with pytest.raises(InputError, match="one slice alone"):
        derangement(["a"], 0)


def test_texts_are_dealt_out_across_crops_and_none_is_lost() -> None:
    slices = [ref for name in "abc" for ref in slices_of_crop(Crop(name, (0, 0, 0), 16), 4)]
    texts = {ref.key: f"text of {ref.key}" for ref in slices}
    dealt = shuffle_texts(slices, ["anna"] * len(slices), texts, seed=1)
    assert Counter(dealt.values()) == Counter(texts.values())
    for ref in slices:
        assert not dealt[ref.key].startswith(f"text of {ref.crop.case}:")


def test_no_text_of_a_person_reaches_another() -> None:
    people = {"a": "anna", "b": "bert", "c": "anna", "d": "bert"}
    slices = [ref for name in people for ref in slices_of_crop(Crop(name, (0, 0, 0), 16), 4)]
    texts = {ref.key: ref.crop.case for ref in slices}
    dealt = shuffle_texts(slices, [people[ref.crop.case] for ref in slices], texts, seed=1)
    assert all(people[dealt[ref.key]] == people[ref.crop.case] != "" for ref in slices)
    assert all(dealt[ref.key] != ref.crop.case for ref in slices)
