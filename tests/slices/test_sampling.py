"""Which slices make the slice table."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.errors import ConfigError, InputError
from med3dinsight.records import Case, Crop
from med3dinsight.slices.sampling import count_slices, draw_crops, each_slice, plan_slices, slices_of_crop
from med3dinsight.types import Plane

MakeCase = Callable[..., Case]
SETTINGS: dict[str, Any] = {"whole": False, "crop_size": 16, "crops_per_volume": 5, "positions_per_plane": 4, "seed": 0}
lengths = st.tuples(*[st.integers(1, 40)] * 3)


def _case(shape: tuple[int, int, int], name: str = "case") -> Case:
    identity = tuple(tuple(float(row == column) for column in range(4)) for row in range(4))
    return Case(
        name, name, "", "ct", False, shape, (1.0, 1.0, 1.0), identity, shape, identity, "", "", (0.0, 1.0), 0, False
    )


@given(shape=lengths, size=st.integers(8, 24), seed=st.integers(0, 99))
def test_a_crop_lies_inside_the_volume_or_has_the_volume_in_its_middle(
    shape: tuple[int, int, int], size: int, seed: int
) -> None:
    for crop in draw_crops(_case(shape), size, 6, seed):
        for origin, length in zip(crop.origin, shape, strict=True):
            if length >= size:
                assert 0 <= origin <= length - size
            else:
                before, after = -origin, origin + size - length
                assert before >= 0
                assert abs(before - after) <= 1


@given(shape=lengths, count=st.integers(1, 12))
def test_crops_are_all_different_and_as_many_as_there_can_be(shape: tuple[int, int, int], count: int) -> None:
    crops = draw_crops(_case(shape), 16, count, 0)
    possible = 1
    for length in shape:
        possible *= max(length - 16, 0) + 1
    assert len(set(crops)) == len(crops) == min(count, possible)


def test_crops_reach_both_ends_of_the_volume() -> None:
    origins = {crop.origin[0] for crop in draw_crops(_case((20, 16, 16)), 16, 5, 0)}
    assert origins == {0, 1, 2, 3, 4}


def test_the_slices_of_a_case_do_not_depend_on_the_others_or_their_order(case: MakeCase) -> None:
    first, second = case((30, 20, 40), name="a"), case((25, 25, 25), name="b")
    alone = plan_slices([first], **SETTINGS)
    both = plan_slices([second, first], **SETTINGS)
    assert [ref for ref in both if ref.crop.case == "a"] == alone
    assert both == plan_slices([first, second], **SETTINGS)


def test_another_case_or_seed_gets_other_crops(case: MakeCase) -> None:
    shape = (60, 60, 60)
    first = [crop.origin for crop in draw_crops(case(shape, name="a"), 16, 5, 0)]
    assert first != [crop.origin for crop in draw_crops(case(shape, name="b"), 16, 5, 0)]
    assert first != [crop.origin for crop in draw_crops(case(shape, name="a"), 16, 5, 1)]


@given(size=st.integers(8, 200), data=st.data())
def test_positions_are_equally_spaced_and_symmetric_in_the_crop(size: int, data: st.DataObject) -> None:
    positions = data.draw(st.integers(1, size))
    refs = list(slices_of_crop(Crop("a", (0, 0, 0), size), positions))
    assert [ref.plane for ref in refs] == [plane for plane in Plane for _ in range(positions)]
    indices = [ref.index for ref in refs[:positions]]
    assert indices == [int((k + 0.5) * size / positions) for k in range(positions)]
    steps = {after - before for before, after in itertools.pairwise(indices)}
    assert steps <= {size // positions, -(-size // positions)}


def test_a_cube_is_its_own_only_crop_with_48_slices(case: MakeCase) -> None:
    refs = plan_slices([case((32, 32, 32))], **{**SETTINGS, "whole": True, "positions_per_plane": 16})
    assert len(refs) == len({ref.key for ref in refs}) == 48
    assert {ref.crop for ref in refs} == {Crop("case", (0, 0, 0), 32)}


def test_a_volume_that_is_no_cube_is_refused_where_cubes_are_asked_for(case: MakeCase) -> None:
    with pytest.raises(InputError, match="32 x 32 x 30 voxels and not a cube"):
        plan_slices([case((32, 32, 30))], **{**SETTINGS, "whole": True})


def test_more_positions_than_voxels_are_refused(case: MakeCase) -> None:
    with pytest.raises(ConfigError, match="17 positions a plane in a crop of 16 voxels"):
        plan_slices([case((32, 32, 32))], **{**SETTINGS, "positions_per_plane": 17})


@given(shapes=st.lists(lengths, max_size=4), crops=st.integers(1, 5), quota=st.tuples(*[st.integers(0, 8)] * 3))
def test_slices_are_counted_without_being_made(
    shapes: list[tuple[int, int, int]], crops: int, quota: tuple[int, int, int]
) -> None:
    cases = [_case(shape, f"case{number}") for number, shape in enumerate(shapes)]
    settings = {**SETTINGS, "crops_per_volume": crops, "positions_per_plane": quota}
    planned = plan_slices(cases, **settings)
    assert list(each_slice(iter(cases), **settings)) == planned
    assert count_slices(cases, **{name: value for name, value in settings.items() if name != "seed"}) == len(planned)


def test_counting_refuses_what_planning_refuses(case: MakeCase) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != "seed"}
    with pytest.raises(InputError):
        count_slices([case((20, 20, 21))], **{**settings, "whole": True})
    with pytest.raises(ConfigError):
        count_slices([case((20, 20, 20))], **{**settings, "positions_per_plane": 17})
