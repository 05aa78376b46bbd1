"""The same person or scan on two sides is found and named."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.datasets.leakage import CopiedScanWarning, Scans, content_key, refuse_overlap, warn_of_copies
from med3dinsight.errors import LeakageError
from med3dinsight.records import Case

IDENTITY = tuple(tuple(float(row == column) for column in range(4)) for row in range(4))


def case(name: str, subject: str = "", voxels: str = "", content: str = "") -> Case:
    return Case(
        id=name,
        subject=subject or name,
        image=f"scans/{name}.nii.gz",
        modality="ct",
        modality_guessed=False,
        shape=(4, 4, 4),
        spacing_mm=(1.0, 1.0, 1.0),
        affine=IDENTITY,
        source_shape=(4, 4, 4),
        source_affine=IDENTITY,
        source_sha256="",
        voxel_sha256=voxels or f"voxels of {name}",
        window=(0.0, 1.0),
        offset=0,
        has_label=False,
        content_sha256=content,
    )


def test_a_person_on_two_sides_is_refused_with_both_scans() -> None:
    with pytest.raises(LeakageError) as caught:
        refuse_overlap([case("a", "anna"), case("b")], [case("c"), case("d", "anna")], ("train", "test"))
    assert caught.value.message == (
        "subject anna is on two sides of the split: a (scans/a.nii.gz) for train and d (scans/d.nii.gz) for test"
    )


@pytest.mark.parametrize("copy", [{"voxels": "voxels of a"}, {"content": "f" * 64}])
def test_a_scan_under_two_subjects_on_two_sides_is_refused_with_the_pair_and_a_way_on(copy: dict[str, str]) -> None:
    """By its prepared voxels, and by its own, which stay the same where it was prepared by another window."""
    with pytest.raises(LeakageError) as caught:
        refuse_overlap([case("b"), case("a", content="f" * 64)], [case("d", "dora", **copy)], ("train", "test"))
    for word in ("a (a)", "d (dora)", "train and test", "scans/a.nii.gz", "scans/d.nii.gz"):
        assert word in caught.value.message
    assert "remove one of the files" in caught.value.hint
    assert "one side" in caught.value.hint


def test_scans_without_a_hash_are_not_taken_for_the_same() -> None:
    first, second = (replace(case(name), voxel_sha256="", content_sha256="") for name in "ab")
    refuse_overlap([first], [second], ("train", "test"))
    assert Scans([first]).copy_of(second) is None


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz")), max_size=8),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz")), max_size=8),
)
def test_it_is_refused_if_and_only_if_a_pair_shares_subject_or_scan(
    first: list[tuple[str, str]], second: list[tuple[str, str]]
) -> None:
    sides = [
        [case(f"{side}{number}", subject, content=content * 64) for number, (subject, content) in enumerate(rows)]
        for side, rows in (("one", first), ("two", second))
    ]
    shared = any(a[0] == b[0] or a[1] == b[1] for a in first for b in second)
    if shared:
        with pytest.raises(LeakageError):
            refuse_overlap(sides[0], sides[1], ("train", "test"))
    else:
        refuse_overlap(sides[0], sides[1], ("train", "test"))


def test_copies_within_a_side_are_said_and_scans_of_one_person_are_not() -> None:
    with pytest.warns(CopiedScanWarning, match=r"a \(subject a, scans/a.nii.gz\) and b \(subject b, .* counts twice"):
        warn_of_copies([case("a"), case("c"), case("b", voxels="voxels of a")], "training")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_copies([case("a", "anna"), case("b", "anna", voxels="voxels of a"), case("c")], "training")


def test_the_short_hash_is_64_bits_of_the_long_one() -> None:
    digest = np.random.default_rng(0).bytes(32).hex()
    assert content_key(case("a", content=digest)) == digest[:16]
    assert content_key(case("a")) == ""
