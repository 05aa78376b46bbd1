from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.datasets.splits import fold_subjects, given_sides, split_alike, split_subjects
from med3dinsight.errors import ConfigError, LeakageError

from .test_leakage import case

KINDS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=4), st.integers(0, 6), min_size=2, max_size=60)


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 3), min_size=2, max_size=40), st.data()
)
def test_everybody_is_in_one_fold_and_kinds_are_spread_as_evenly_as_they_can_be(
    kind_of: dict[str, int], data: st.DataObject
) -> None:
    folds = data.draw(st.integers(2, len(kind_of)))
    parts = fold_subjects(kind_of, folds, seed=folds)
    assert sorted(name for part in parts for name in part) == sorted(kind_of)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for kind in set(kind_of.values()):
        counts = [sum(kind_of[name] == kind for name in part) for part in parts]
        assert max(counts) - min(counts) <= 1


def test_the_seed_decides_and_the_order_of_the_people_does_not() -> None:
    kind_of = {name: name in "abc" for name in "abcdefghij"}
    parts = fold_subjects(kind_of, 5, seed=0)
    assert parts == fold_subjects(dict(reversed(kind_of.items())), 5, seed=0)
    assert parts != fold_subjects(kind_of, 5, seed=1)


@pytest.mark.parametrize(("folds", "reason"), [(1, "1 fold"), (4, "3 labelled .* into 4 folds")])
def test_fewer_people_than_folds_and_one_fold_are_refused(folds: int, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        fold_subjects(dict.fromkeys("abc", 0), folds, seed=0)


@given(KINDS, st.integers(0, 99))
def test_a_split_is_7_1_2_disjoint_covers_everybody_and_is_the_same_for_a_seed(
    kind_of: dict[str, int], seed: int
) -> None:
    for sides in (split_subjects(kind_of, seed), split_alike(kind_of, seed)):
        assert sorted(name for side in sides for name in side) == sorted(kind_of)
        for side, share in zip(sides, (0.7, 0.1, 0.2), strict=True):
            assert side == sorted(side)
            assert abs(len(side) - share * len(kind_of)) <= 1.5, "two sides are rounded, the third takes the rest"
        assert sides[0]
        assert sides[2]
    assert split_subjects([*kind_of, *kind_of], seed) == split_subjects(reversed(list(kind_of)), seed)
    assert split_alike(kind_of, seed) == split_alike(dict(reversed(kind_of.items())), seed)


@given(KINDS, st.integers(0, 99))
def test_every_side_has_within_one_person_of_its_share_of_each_kind(kind_of: dict[str, int], seed: int) -> None:
    sides = split_alike(kind_of, seed)
    for kind in set(kind_of.values()):
        number = sum(other == kind for other in kind_of.values())
        for side in sides:
            share = number * len(side) / len(kind_of)
            assert abs(sum(kind_of[name] == kind for name in side) - share) < 1 + 1e-6


def test_many_rare_kinds_do_not_crowd_the_common_one_out_of_training() -> None:
    """Ninety of one kind and ten of a kind each: dealt by their places all ten would train and none be tested."""
    kind_of = {f"p{number:03d}": number if number < 10 else 99 for number in range(100)}
    sides = split_alike(kind_of, seed=0)
    assert [len(side) for side in sides] == [70, 10, 20]
    assert [sum(kind_of[name] == 99 for name in side) for side in sides] in ([63, 9, 18], [62, 9, 19], [62, 10, 18])


def test_another_seed_gives_another_split() -> None:
    kind_of = {f"p{number}": number % 2 for number in range(20)}
    assert split_subjects(kind_of, 0) != split_subjects(kind_of, 1)
    assert split_alike(kind_of, 0) != split_alike(kind_of, 1)


def test_the_split_of_a_data_set_is_taken_where_it_tests_somebody() -> None:
    cases = [replace(case(name), split=split) for name, split in (("a", "train"), ("b", "test"), ("c", ""))]
    assert given_sides(cases) == (["a", "c"], [], ["b"])
    assert given_sides([*cases, replace(case("d"), split="validation")]) == (["a", "c"], ["d"], ["b"])
    assert given_sides([cases[0], cases[2], replace(case("d"), split="validation")]) is None


@pytest.mark.parametrize("other", ["train", "validation", ""])
def test_a_data_set_with_a_person_on_two_sides_is_refused_with_both_scans(other: str) -> None:
    cases = [replace(case(name, "anna"), split=split) for name, split in (("a", "test"), ("b", other))]
    with pytest.raises(LeakageError, match="has subject anna on two sides") as caught:
        given_sides(cases)
    for word in ("a (scans/a.nii.gz) for test", f"b (scans/b.nii.gz) for {other or 'train'}"):
        assert word in caught.value.message


def test_a_side_of_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="a is of the split trian") as caught:
        given_sides([replace(case("a"), split="trian")])
    assert caught.value.hint == "did you mean train?"
