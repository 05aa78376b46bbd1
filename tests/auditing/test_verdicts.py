"""Texts against what is known of their slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from med3dinsight.auditing.claims import ClaimReader
from med3dinsight.auditing.facts import FactReader, SliceFacts
from med3dinsight.auditing.verdicts import Verdict, judge
from med3dinsight.records import Crop, SliceRef
from med3dinsight.types import Plane
from med3dinsight.workspace.voxel_store import VoxelStore

LABELLED = frozenset({"liver", "spleen", "kidney"})


def facts(**changes: Any) -> SliceFacts:
    values: dict[str, Any] = {
        "plane": "axial",
        "modality": "ct",
        "sides": frozenset({"right", "left"}),
        "labelled": LABELLED,
        "organs": {"liver": frozenset({"right"}), "kidney": frozenset({"right"})},
        "areas_cm2": {"liver": 40.0, "kidney": 8.0},
    }
    return SliceFacts(**{**values, **changes})


def verdict(text: str, **changes: Any) -> Verdict:
    return judge(ClaimReader().read(text), facts(**changes))


def test_a_text_that_says_nothing_is_neither_right_nor_wrong() -> None:
    nothing = verdict("A grey picture.")
    assert (nothing.plane, nothing.modality, nothing.side, nothing.organs_agree) == (None, None, None, None)
    assert not nothing.checked


def test_a_true_text_agrees_in_everything() -> None:
    true = verdict("Axial CT with the liver and the right kidney.")
    assert (true.plane, true.modality, true.side, true.organs_agree) == (True, True, True, True)
    assert true.reasons == ()


def test_what_is_wrong_is_said_in_words() -> None:
    wrong = verdict("Coronal MRI: spleen, left kidney.")
    assert (wrong.plane, wrong.modality, wrong.side, wrong.organs_agree) == (False, False, False, False)
    assert wrong.reasons == (
        "says coronal, is axial",
        "says MR, is CT",
        "names the spleen, which the label map does not show here",
        "says left kidney, the label map shows the right one",
    )


def test_what_only_a_flag_tells_counts_as_wrong_and_says_so() -> None:
    flags = ("wrong-modality", "wrong-plane")
    silent = judge(ClaimReader().read("A grey picture."), facts(), flags)
    assert (silent.plane, silent.modality, silent.checked) == (False, False, True)
    assert silent.by_flag == {"plane", "modality"}
    assert silent.reasons == (
        "flagged wrong-plane when it was written, is axial",
        "flagged wrong-modality when it was written, is CT",
    )
    agreeing = judge(ClaimReader().read("An axial slice."), facts(), ("wrong-plane",))
    assert (agreeing.plane, agreeing.by_flag) == (False, {"plane"})
    told = judge(ClaimReader().read("A coronal slice."), facts(), ("wrong-plane",))
    assert (told.reasons, told.by_flag) == (("says coronal, is axial",), frozenset())


def test_what_a_label_map_cannot_tell_is_not_checked() -> None:
    assert verdict("The pancreas.").organs == {}
    assert verdict("The spleen.", labelled=frozenset(), organs={}).organs_agree is None


def test_naming_two_planes_is_not_naming_the_right_one() -> None:
    assert verdict("axial and coronal").plane is False


def test_a_slice_off_the_midline_lies_on_one_side() -> None:
    off = {"plane": "sagittal", "sides": frozenset({"left"})}
    assert verdict("in the left third", **off).side is True
    assert verdict("in the right third", **off).side is False
    assert verdict("right of the picture, left of the body", **off).side is None
    assert verdict("in the right third").side is None


def test_facts_are_those_of_the_header_and_the_label_map(toy: Any) -> None:
    toy.add("anna", names={1: "kidney_right", 2: "spleen"})
    toy.add("bert", names=None)
    toy.prepare()
    store = VoxelStore(toy.workspace.prepared)
    case = next(case for case in store.cases.values() if case.subject == "anna")
    other = next(case for case in store.cases.values() if case.subject == "bert")
    labels, reader = store.label(case.id), FactReader(store)
    size = max(case.shape)
    z = int(np.argmax((labels == 1).sum(axis=(0, 1))))
    found = reader.facts(SliceRef(Crop(case.id, (0, 0, 0), size), Plane.AXIAL, z))
    assert (found.plane, found.modality, found.sides) == ("axial", "ct", {"right", "left"})
    assert found.organs["kidney"] == {"right"}
    assert found.areas_cm2["kidney"] == pytest.approx((labels[:, :, z] == 1).sum() * 0.04)
    assert ("spleen" in found.organs) == bool((labels[:, :, z] == 2).any())
    assert found.labelled == {"kidney", "spleen"}
    for x, side in ((0, "left"), (case.shape[0] - 1, "right")):
        assert reader.facts(SliceRef(Crop(case.id, (0, 0, 0), size), Plane.SAGITTAL, x)).sides == {side}
    unlabelled = reader.facts(SliceRef(Crop(other.id, (0, 0, 0), size), Plane.AXIAL, z))
    assert (unlabelled.labelled, unlabelled.organs) == (frozenset(), {})


def test_the_side_of_an_organ_without_a_side_in_its_name_is_where_it_lies(toy: Any, tmp_path: Path) -> None:
    toy.add("anna", names={1: "kidney"})
    toy.prepare()
    store = VoxelStore(toy.workspace.prepared)
    (case,) = store.cases.values()
    x, _, z = np.argwhere(store.label(case.id) == 1).mean(axis=0)
    ref = SliceRef(Crop(case.id, (0, 0, 0), max(case.shape)), Plane.AXIAL, round(z))
    assert ("right" if x > case.shape[0] / 2 else "left") in FactReader(store).facts(ref).organs["kidney"]
