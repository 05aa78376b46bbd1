"""Informative slices show body and differ from those beside them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from med3dinsight.errors import ConfigError
from med3dinsight.records import Case
from med3dinsight.slices.informative import Informative, informative_indices, plan_informative
from med3dinsight.slices.outline import find_outline
from med3dinsight.slices.sampling import plan_slices
from med3dinsight.types import Plane
from med3dinsight.workspace.voxel_store import VoxelStore, VoxelWriter

from .conftest import make_case

MakeCase = Callable[..., Case]
SETTINGS: dict[str, Any] = {"whole": False, "crop_size": 24, "crops_per_volume": 4, "positions_per_plane": 6}


def body(seed: int, shape: tuple[int, int, int] = (48, 40, 36), air: int = 12) -> NDArray[np.uint8]:
    """Smooth noise, another one in every slice, with air over the first slices at the foot end."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    volume = np.clip(140 + noise / noise.std() * 40, 100, 250).astype(np.uint8)
    volume[:, :, :air] = 0
    return volume


def chosen_of(volume: NDArray[np.uint8], plane: Plane, quota: int, **changes: Any) -> list[int]:
    row = make_case(volume.shape)
    return informative_indices(volume, row, find_outline(volume, row), plane, quota, Informative(**changes))


def correlation(volume: NDArray[np.uint8], plane: Plane, first: int, second: int) -> float:
    pictures = [np.take(volume, index, axis=plane.axis).ravel() for index in (first, second)]
    return float(np.corrcoef(pictures)[0, 1])


def test_slices_without_body_are_never_chosen_and_others_take_their_place() -> None:
    chosen = chosen_of(body(0), Plane.AXIAL, 8)
    assert len(chosen) == 8
    assert min(chosen) >= 11, "the outline is found on voxels of 3 mm and may be one off"
    assert chosen == sorted(set(chosen))


def test_slices_that_follow_each_other_do_not_look_alike() -> None:
    """Every slice stands there four times."""
    volume = np.repeat(body(1, (40, 40, 10), air=0), 4, axis=2)
    chosen = chosen_of(volume, Plane.AXIAL, 40)
    assert len(chosen) == len({index // 4 for index in chosen}) == 10
    for first, second in itertools.pairwise(chosen):
        assert correlation(volume, Plane.AXIAL, first, second) < 0.97
    assert len(chosen_of(volume, Plane.AXIAL, 40, most_alike=1.1)) == 40


@given(
    seed=st.integers(0, 50), quota=st.integers(1, 30), alike=st.floats(0.2, 0.99), plane=st.sampled_from(list(Plane))
)
def test_what_is_chosen_is_sorted_within_the_quota_and_unlike(
    seed: int, quota: int, alike: float, plane: Plane
) -> None:
    volume = body(seed % 3)
    chosen = chosen_of(volume, plane, quota, most_alike=alike, seed=seed)
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= quota
    assert chosen == chosen_of(volume, plane, quota, most_alike=alike, seed=seed)
    for first, second in itertools.pairwise(chosen):
        assert correlation(volume, plane, first, second) < alike + 1e-4


def test_nothing_is_left_out_that_the_quota_had_room_for() -> None:
    """Each slice that was not chosen is empty, or looks like a chosen one beside it."""
    volume = body(2)
    chosen = chosen_of(volume, Plane.AXIAL, 36, most_alike=0.6)
    assert len(chosen) < 20
    for index in set(range(14, 36)) - set(chosen):
        beside = [
            max((c for c in chosen if c < index), default=None),
            min((c for c in chosen if c > index), default=None),
        ]
        assert any(correlation(volume, Plane.AXIAL, index, c) >= 0.6 - 1e-4 for c in beside if c is not None)


def test_an_empty_volume_has_no_informative_slice() -> None:
    assert chosen_of(np.zeros((20, 20, 20), np.uint8), Plane.CORONAL, 5, least_body=0.0) == []


@pytest.fixture
def store(tmp_path: Path) -> Callable[[Mapping[str, NDArray[np.uint8]]], VoxelStore]:
    def write(volumes: Mapping[str, NDArray[np.uint8]]) -> VoxelStore:
        folder = tmp_path / "-".join(volumes)
        writer = VoxelWriter(folder)
        for name, volume in volumes.items():
            writer.append(make_case(volume.shape, name=name), volume, None)
        return VoxelStore(folder)

    return write


def test_the_slices_of_a_volume_hang_on_no_other_volume_and_on_the_seed(store: Any) -> None:
    first, second = body(0), body(1)
    alone = plan_informative(store({"b": first}), rule=Informative(), **SETTINGS)
    both = plan_informative(store({"c": second, "b": first}), rule=Informative(), **SETTINGS)
    assert [ref for ref in both if ref.crop.case == "b"] == list(alone)
    assert list(both) == sorted(both, key=lambda ref: ref.crop.case)
    other = plan_informative(store({"b": first}), rule=Informative(seed=1), **SETTINGS)
    assert list(other) != list(alone)


def test_the_crops_are_those_of_uniform_slices(store: Any) -> None:
    volumes = store({"a": body(0, air=0)})
    informative = plan_informative(volumes, rule=Informative(), **SETTINGS)
    uniform = plan_slices(volumes.cases.values(), seed=0, **SETTINGS)
    assert {ref.crop for ref in informative} == {ref.crop for ref in uniform}


def test_quotas_are_kept_by_plane_and_what_cannot_be_filled_is_counted(store: Any) -> None:
    volumes = store({"a": body(0, (32, 32, 32), air=0)})
    settings = {**SETTINGS, "whole": True, "positions_per_plane": (5, 0, 9)}
    chosen = plan_informative(volumes, rule=Informative(), **settings)
    counts = [sum(ref.plane == plane for ref in chosen) for plane in Plane]
    assert (counts, chosen.unfilled) == ([5, 0, 9], 0)
    strict = plan_informative(volumes, rule=Informative(most_alike=0.3), **{**settings, "positions_per_plane": 32})
    assert strict.unfilled == 96 - len(strict) > 0
    with pytest.raises(ConfigError, match="33 positions a plane in a crop of 32 voxels"):
        plan_informative(volumes, rule=Informative(), **{**settings, "positions_per_plane": (1, 33, 1)})


def test_padding_of_a_cube_does_not_count_as_air(case: MakeCase) -> None:
    """A slab of 12 slices in a cube of 40: its coronal slices are full of body."""
    volume = np.zeros((40, 40, 40), dtype=np.uint8)
    volume[:, :, 14:26] = body(3, (40, 40, 12), air=0)
    row = case(
        (40,) * 3, source_shape=(40, 40, 12), source_affine=((3, 0, 0, 0), (0, 3, 0, 0), (0, 0, 3, 42), (0, 0, 0, 1))
    )
    outline = find_outline(volume, row)
    rule = Informative(least_body=0.9)
    assert len(informative_indices(volume, row, outline, Plane.CORONAL, 6, rule)) == 6
    assert set(informative_indices(volume, row, outline, Plane.AXIAL, 40, rule)) <= set(range(14, 26))
