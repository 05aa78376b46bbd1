"""Texts from label maps, and of nobody who is held out or tested."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from learned_workspace import Toy, pretrain_config

from med3dinsight.auditing.config import AuditConfig
from med3dinsight.auditing.run import run as audit
from med3dinsight.captions.anatomy import MAX_WORDS, AnatomyDescriber
from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.labelled import without_labels
from med3dinsight.captions.run import CaptionResult
from med3dinsight.captions.run import run as caption
from med3dinsight.encoders.texts_seen import labels_seen
from med3dinsight.errors import ConfigError, LeakageError
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.records import Crop, SliceRef
from med3dinsight.slices.rendering import SliceRenderer, SliceView
from med3dinsight.types import Plane
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.files import read_json
from med3dinsight.workspace.voxel_store import VoxelStore, read_manifest

SMALL: dict[str, Any] = {"crop_size": 16, "crops_per_volume": 4, "positions_per_plane": 8}
NAMES = {1: "kidney_right", 2: "spleen"}


def view(labels: dict[str, tuple[slice, slice]], plane: Plane = Plane.AXIAL, spacing: float = 5.0) -> SliceView:
    """A picture of 40 x 40 pixels that is all body, with boxes of labels."""
    pixels, picture = np.full((40, 40), 90, np.uint8), np.zeros((40, 40), np.uint16)
    for value, box in enumerate(labels.values(), start=1):
        picture[box] = value
    whole, edges = np.ones((40, 40), bool), (0.0, 40.0)
    names = tuple(enumerate(labels, start=1))
    return SliceView(
        pixels,
        whole,
        "ct",
        plane,
        (-1000, 1000),
        (spacing, spacing),
        0.5,
        0.5,
        edges,
        edges,
        (0, 40),
        (0, 40),
        True,
        picture,
        names,
    )


def test_structures_are_named_with_size_and_side_the_largest_first() -> None:
    boxes = {
        "kidney_left": (slice(28, 34), slice(30, 36)),
        "liver": (slice(8, 20), slice(2, 14)),
        "lung": (slice(0, 4), slice(10, 30)),
        "speck": (slice(39, 40), slice(0, 1)),
        "elsewhere": (slice(0, 0), slice(0, 0)),
    }
    text = AnatomyDescriber().describe(view(boxes))
    assert text == (
        "Liver of 36 cm2 at the right front. Lung of 20 cm2 on both sides. Left kidney of 9 cm2 at the left back. "
        "Speck of 1 cm2 at the right back. Axial CT in the middle of the scan."
    )


def test_what_lies_in_the_midline_is_on_no_side_and_what_has_a_side_is_not_in_the_midline() -> None:
    boxes = {"vertebrae_L4": (slice(30, 36), slice(17, 23)), "muscle_left": (slice(30, 36), slice(23, 25))}
    text = AnatomyDescriber().describe(view(boxes))
    assert text.startswith("Vertebrae L4 of 9 cm2 in the midline at the back. Left muscle of 3 cm2 at the back.")


def test_a_text_is_short_however_many_structures_there_are() -> None:
    boxes = {f"muscle_number_{n}": (slice(n, n + 1), slice(0, 40 - n)) for n in range(38)}
    words = AnatomyDescriber().describe(view(boxes)).split()
    assert 30 < len(words) <= MAX_WORDS
    assert "Also" in words


def test_a_slice_without_structures_says_so_and_one_without_a_label_map_is_refused() -> None:
    assert AnatomyDescriber().describe(view({})).startswith("No labelled structure. Axial CT")
    with pytest.raises(ValueError, match="has none"):
        AnatomyDescriber().describe(replace(view({}), labels=None))


def test_labels_lie_where_the_pixels_lie(toy: Toy) -> None:
    toy.add("anna", names=NAMES)
    toy.prepare()
    store = VoxelStore(toy.workspace.prepared)
    (case,) = store.cases.values()
    for plane in Plane:
        ref = SliceRef(Crop(case.id, (-3, 2, 0), 18), plane, 9)
        shown = SliceRenderer(store, labels=True).view(ref)
        assert shown.labels is not None
        assert shown.label_names == tuple(NAMES.items())
        bright = shown.pixels >= store.volume(case.id)[store.label(case.id) == 1].min()
        assert (bright == (shown.labels == 1)).mean() > 0.97, "the ball of 700 HU is label 1"
        square = replace(shown, spacing_mm=(4.0, 2.0)).with_square_pixels()
        assert square.labels is not None
        assert square.labels.shape == square.pixels.shape == (36, 18)
        assert SliceRenderer(store).view(ref).labels is None, "nobody gets labels who did not ask"


@pytest.fixture
def people(toy: Toy) -> Toy:
    """Anna and bert with label maps, and cleo without."""
    toy.add("anna", names=NAMES)
    toy.add("bert", names=NAMES)
    toy.add("cleo", names=None)
    toy.prepare()
    return toy


def write(toy: Toy, captioner: str = "anatomy", **changes: Any) -> CaptionResult:
    return caption(CaptionConfig(captioner=captioner, **{**SMALL, **changes}), toy.workspace)


def people_of(toy: Toy, captioner: str = "anatomy") -> tuple[set[str], dict[str, set[str]]]:
    """Who has texts, and the flags of the others."""
    subject = {case.id: case.subject for case in read_manifest(toy.workspace.prepared)}
    told, flags = set(), dict[str, set[str]]()
    with CaptionStore(toy.workspace.captions) as ledger:
        for ref, text, flagged in ledger.written(captioner):
            if text:
                told.add(subject[ref.crop.case])
            else:
                flags.setdefault(subject[ref.crop.case], set()).update(flagged)
    return told, flags


def test_nobody_who_is_held_out_gets_a_text_and_the_texts_tell_whose_labels_they_hold(people: Toy) -> None:
    result = write(people, held_out=("bert",))
    assert people_of(people) == ({"anna"}, {"bert": {"held-out"}, "cleo": {"no-label-map"}})
    assert 0 < result.captioned < result.without_text
    seen = labels_seen(people.workspace.captions / "anatomy")
    assert seen is not None
    assert seen.subjects == {"anna"}
    assert len(seen.content_sha256) == len(seen.voxel_sha256) == 1
    write(people, "shuffled", shuffle_of="anatomy")
    assert labels_seen(people.workspace.captions / "shuffled") == seen
    write(people, "tissue")
    assert labels_seen(people.workspace.captions / "tissue") is None


def test_texts_of_somebody_who_is_held_out_later_are_removed(people: Toy) -> None:
    write(people)
    assert people_of(people)[0] == {"anna", "bert"}
    write(people, held_out=("bert",))
    assert people_of(people)[0] == {"anna"}
    assert labels_seen(people.workspace.captions / "anatomy").subjects == {"anna"}  # type: ignore[union-attr]
    assert write(people, held_out=("bert",)).done_before


def test_the_data_sets_own_test_people_and_copies_of_the_held_out_never_get_a_text(people: Toy) -> None:
    cases = {case.subject: case for case in read_manifest(people.workspace.prepared)}
    tested = {name: replace(case, split="test" if name == "anna" else "train") for name, case in cases.items()}
    assert without_labels(tested, ()) == {"anna": "held-out", "cleo": "no-label-map"}
    copied = {**cases, "dora": replace(cases["bert"], id="dora", subject="dora")}
    assert without_labels(copied, ("bert",))["dora"] == "held-out"
    with pytest.raises(ConfigError, match="did you mean bert"):
        without_labels(cases, ("berta",))


def test_the_audit_finds_the_texts_true(people: Toy) -> None:
    write(people)
    found = read_json(people.workspace.root / audit(AuditConfig(captioner="anatomy"), people.workspace).audit)
    assert found["organs"]["said"] > 20
    assert found["organs"]["share"] == found["plane"]["share"] == found["side"]["share"] == 1.0


def test_pretraining_refuses_texts_from_labels_of_somebody_held_out(people: Toy) -> None:
    write(people)
    with CaptionStore(people.workspace.captions) as ledger:  # the toy towers read texts of their own
        texts = ledger.texts("anatomy")
    assert texts
    slices = people.caption("other")
    with CaptionStore(people.workspace.captions) as ledger:
        ledger.add("anatomy", [(ref.key, f"plane={int(ref.plane)} at=0.5") for ref in slices if ref.key in texts])
    people.embed("anatomy", held_out=("bert",))
    config = pretrain_config(captioner="anatomy", held_out=("bert",))
    with pytest.raises(LeakageError, match=r"made from the label map of .* held-out subject bert"):
        pretrain(config, people.workspace)
    pretrain(pretrain_config(captioner="anatomy", run="all"), people.workspace)
    facts = read_json(people.workspace.pretraining / "all" / "encoder.json")
    assert facts["caption_labels"]["subjects"] == ["anna", "bert"]
