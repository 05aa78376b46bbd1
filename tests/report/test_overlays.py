from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from med3dinsight.report.config import ReportConfig
from med3dinsight.report.inputs import read_inputs
from med3dinsight.report.pictures import colour_of
from med3dinsight.report.sections.overlays import OverlaySection, choose_places, overlay_section
from med3dinsight.types import Plane


def pixels(source: str) -> np.ndarray:
    content = base64.b64decode(source.removeprefix("data:image/jpeg;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def drawn(bench: Any, **settings: Any) -> OverlaySection | None:
    return overlay_section(read_inputs(bench.workspace), ReportConfig(**settings))


def liver_centre(source: str) -> float:
    """Where along the picture's width the first class is, 0..1."""
    picture = pixels(source)
    distance = np.abs(picture - np.array(colour_of(1))).max(axis=2)
    return float(np.nonzero(distance < 40)[1].mean() / picture.shape[1])


def test_truth_and_every_arm_are_drawn_where_their_label_maps_are(bench: Any) -> None:
    bench.prepare("ann", "bob")
    bench.finetune("scratch", 0, ("ann",), ("bob",), shift=4)
    bench.finetune("insight", 0, ("ann",), ("bob",))
    section = drawn(bench)
    assert section is not None
    (case,) = section.cases
    assert [row.place.split(",")[0] for row in case.rows] == ["axial", "axial", "axial", "coronal"]
    for row in case.rows[1:]:
        centres = {column.name: liver_centre(column.picture.source) for column in row.columns}
        # x 6..9 of 24, displayed with the patient's right, the high x, on the left
        assert abs(centres["truth"] - (1 - 8 / 24)) < 0.03
        assert abs(centres["insight"] - centres["truth"]) < 0.03
        assert abs(centres["scratch"] - (1 - 12 / 24)) < 0.03


def test_slices_are_chosen_by_the_truth_and_spread_over_the_labelled_part() -> None:
    truth = np.zeros((8, 8, 30), dtype=np.uint8)
    truth[2:4, 2:6, 3:27] = 1
    truth[5:7, 3, 21] = 2
    places = choose_places(truth)
    assert places == [(Plane.AXIAL, 21), (Plane.AXIAL, 14), (Plane.AXIAL, 6), (Plane.CORONAL, 3)]


def test_a_map_without_any_class_has_no_slices() -> None:
    assert choose_places(np.zeros((4, 4, 4), dtype=np.uint8)) == []


def test_one_labelled_slice_is_enough() -> None:
    truth = np.zeros((4, 4, 9), dtype=np.uint8)
    truth[1, 2, 5] = 3
    assert choose_places(truth) == [(Plane.AXIAL, 5), (Plane.CORONAL, 2)]


def test_the_lowest_seed_that_all_arms_have_is_shown(bench: Any) -> None:
    bench.prepare("ann", "bob")
    for arm, seeds in (("scratch", (0, 1, 2)), ("insight", (1, 2))):
        for seed in seeds:
            bench.finetune(arm, seed, ("ann",), ("bob",))
    section = drawn(bench)
    assert section is not None
    assert section.seed == 1
    assert [column.name for column in section.cases[0].rows[0].columns] == ["truth", "scratch", "insight"]


def test_a_source_scan_that_is_gone_is_told_and_nothing_breaks(bench: Any) -> None:
    bench.prepare("ann", "bob")
    bench.finetune("scratch", 0, ("ann",), ("bob",))
    for path in bench.sources.iterdir():
        path.unlink()
    section = drawn(bench)
    assert section is not None
    assert section.cases[0].rows == ()
    assert "source files" in section.cases[0].problem


def test_nothing_is_drawn_where_none_is_wanted_or_predicted(bench: Any) -> None:
    bench.prepare("ann", "bob")
    assert drawn(bench) is None
    bench.finetune("scratch", 0, ("ann",), ("bob",))
    assert drawn(bench, overlay_cases=0) is None
