from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.datasets.splits import fold_subjects
from med3dinsight.errors import ConfigError


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
