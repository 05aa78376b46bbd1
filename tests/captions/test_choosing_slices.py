"""Which slices get a text: equally spaced ones unless told."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.planning import plan
from med3dinsight.captions.run import run
from med3dinsight.errors import InputError, WorkspaceError
from med3dinsight.records import SliceRef
from med3dinsight.slices.rendering import SliceRenderer
from med3dinsight.types import Plane
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.voxel_store import VoxelStore

Prepared = Callable[..., Workspace]
SMALL: dict[str, Any] = {"captioner": "template", "crop_size": 32, "crops_per_volume": 4, "positions_per_plane": 8}


@pytest.fixture
def work(prepared: Prepared, phantom: NDArray[np.float32]) -> Workspace:
    """A trunk in a lot of air."""
    voxels = np.round(np.clip((phantom + 1000) / 2000, 0, 1) * 255).astype(np.uint8)
    return prepared({"a": np.pad(voxels, ((40, 20), (30, 0), (0, 0)))})


def config(**changes: Any) -> CaptionConfig:
    return CaptionConfig(**{**SMALL, **changes})


def slices_of(work: Workspace) -> list[SliceRef]:
    with CaptionStore(work.captions) as ledger:
        return ledger.slices()


def test_uniform_slices_are_what_they_were_before_there_was_a_choice() -> None:
    settings = {"captioner", "seed", "crop_size", "crops_per_volume", "positions_per_plane"}
    assert set(CaptionConfig().identity()) == settings
    assert CaptionConfig().identity()["positions_per_plane"] == 16
    informative = CaptionConfig(sampling="informative").identity()
    assert set(informative) == settings | {"sampling", "least_body", "most_alike"}


def test_informative_slices_show_body_where_uniform_ones_show_air(work: Workspace) -> None:
    assert run(config(), work).unfilled == 0
    renderer = SliceRenderer(VoxelStore(work.prepared))

    def least_body() -> float:
        return min(renderer.view(ref).without_padding().body.mean() for ref in slices_of(work))

    assert least_body() < 0.05
    result = run(config(sampling="informative", least_body=0.3), work)
    assert result.captioned == len(slices_of(work)) == 96 - result.unfilled
    assert least_body() > 0.25
    assert result.unfilled > 0, "some crop has too little body"


def test_each_setting_of_informative_slices_makes_another_stage(work: Workspace) -> None:
    first = config(sampling="informative")
    run(first, work)
    assert run(first, work).done_before
    before = slices_of(work)
    assert not run(config(sampling="informative", most_alike=0.8), work).done_before
    assert slices_of(work) != before


def test_quotas_of_planes_hold_for_both_samplings(work: Workspace) -> None:
    for sampling in ("uniform", "informative"):
        result = run(config(sampling=sampling, positions_per_plane=(6, 0, 2), least_body=0.1), work)
        counts = [sum(ref.plane == plane for ref in slices_of(work)) for plane in Plane]
        assert counts[1] == 0
        assert sum(counts) == 32 - result.unfilled
        assert counts[0] <= 24
        assert counts[2] <= 8


def test_shuffled_texts_are_dealt_among_the_same_slices(work: Workspace) -> None:
    run(config(sampling="informative"), work)
    with pytest.raises(WorkspaceError, match="captioned other slices"):
        run(config(captioner="shuffled", shuffle_of="template"), work)
    assert run(config(captioner="shuffled", shuffle_of="template", sampling="informative"), work).captioned > 0


def test_nothing_informative_at_all_is_refused(work: Workspace) -> None:
    with pytest.raises(InputError, match="no slice is informative") as caught:
        run(config(sampling="informative", least_body=1.0, crop_size=90), work)
    assert "least_body" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"least_body": 0.2}, "only sampling = .informative. reads it"),
        ({"most_alike": 0.5}, "only sampling = .informative. reads it"),
        ({"sampling": "informativ"}, "informative"),
        ({"positions_per_plane": 0}, "1 to 512"),
        ({"positions_per_plane": (0, 0, 0)}, "1 to 512"),
        ({"positions_per_plane": (4, -1, 4)}, "1 to 512"),
        ({"positions_per_plane": (4, 4)}, "positions_per_plane"),
        ({"positions_per_plane": 513}, "1 to 512"),
    ],
)
def test_settings_that_do_nothing_or_ask_for_nothing_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        config(**changes)


@pytest.mark.parametrize("chosen", [{}, {"sampling": "informative", "most_alike": 1.0}])
def test_a_plan_holds_no_list_of_slices_and_makes_them_as_often_as_asked(
    work: Workspace, chosen: dict[str, Any]
) -> None:
    store = VoxelStore(work.prepared)
    slices = plan(config(**chosen), store, whole=False)
    assert list(slices) == list(slices)
    assert len(list(slices)) == slices.num_slices
    tracemalloc.start()
    try:
        slices = plan(config(crops_per_volume=400, **chosen), store, whole=False)
        tracemalloc.reset_peak()
        number = sum(1 for _ in slices)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert number == slices.num_slices > 4000
    # A slice with its crop takes about 260 bytes; what is left are the crops of one volume.
    assert peak / number < 100
