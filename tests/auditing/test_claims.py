"""What texts say, read by their words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.auditing.claims import ClaimReader
from med3dinsight.auditing.refusals import is_refusal
from med3dinsight.auditing.vocabulary import term_of_label

READER = ClaimReader(frozenset({"ball"}))


@pytest.mark.parametrize(
    ("text", "planes", "modalities"),
    [
        ("Axial CT slice of the chest.", {"axial"}, {"ct"}),
        ("A TRANSVERSE  slice? no: coronal MRI", {"coronal"}, {"mr"}),
        ("transverse-plane computed tomography", {"axial"}, {"ct"}),
        ("The frontal lobe in T1w MR.", set(), {"mr"}),
        ("Mr. Smith, transverse process, a doctor's coaxial cable", set(), set()),
        ("Chest X-ray; sagittal and axial reformats", {"sagittal", "axial"}, {"radiograph"}),
    ],
)
def test_planes_and_modalities_are_read_by_words_that_leave_no_doubt(
    text: str, planes: set[str], modalities: set[str]
) -> None:
    claims = READER.read(text)
    assert (claims.planes, claims.modalities) == (planes, modalities)


@pytest.mark.parametrize(
    ("text", "organs"),
    [
        ("The left kidney and the liver.", {("kidney", "left"), ("liver", "")}),
        ("No liver, spleen in view", {("spleen", "")}),
        ("Both lungs are clear without a rib", {("lung", "both")}),
        ("right and left lung", {("lung", "both")}),
        ("right-sided kidney", {("kidney", "right")}),
        ("Gall-bladder; urinary bladder", {("gallbladder", ""), ("bladder", "")}),
        ("a bright BALL at the left", {("ball", "")}),
        ("ballistic, livery, kidneystone", set()),
    ],
)
def test_organs_are_read_with_their_sides_and_not_where_they_are_denied(text: str, organs: set[object]) -> None:
    assert READER.read(text).organs == organs


@given(st.text())
def test_any_text_is_read_and_a_sentence_after_it_too(text: str) -> None:
    claims = READER.read(text[:5000] + "\nThe spleen in a coronal plane.")
    assert ("spleen", "") in claims.organs
    assert "coronal" in claims.planes


def test_labels_of_data_sets_stand_for_organs() -> None:
    assert term_of_label("vertebrae_L1") == ("spine", "")
    assert term_of_label("Left Kidney") == ("kidney", "left")
    assert term_of_label("lung_lower_lobe_right") == ("lung", "right")
    assert term_of_label("heart_atrium_left") == ("heart", ""), "the atrium's side is not the heart's"
    assert term_of_label("background") == term_of_label("L1") == ("", "")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with medical images.",
        "I\u2019m unable to view the picture.",
        "As an AI, I do not diagnose.",
        "I cannot provide a description.",
    ],
)
def test_refusals_are_known(text: str) -> None:
    assert is_refusal(text)


def test_a_description_is_no_refusal() -> None:
    assert not is_refusal("The aorta cannot be told from the vena cava. The kidneys are not able to be seen apart.")
