"""The shuffled control: texts of other slices, of one person."""

from __future__ import annotations

from collections import Counter

from med3dinsight.captions.shuffled import shuffle_texts
from med3dinsight.records import Crop
from med3dinsight.slices.sampling import slices_of_crop


def test_texts_are_dealt_out_across_crops_and_none_is_lost() -> None:
    slices = [ref for name in "abc" for ref in slices_of_crop(Crop(name, (0, 0, 0), 16), 4)]
    texts = {ref.key: f"text of {ref.key}" for ref in slices}
    dealt = shuffle_texts(slices, ["anna"] * len(slices), texts, seed=1)
    assert Counter(dealt.values()) == Counter(texts.values())
    for ref in slices:
        assert not dealt[ref.key].startswith(f"text of {ref.crop.case}:")


def test_no_text_of_a_person_reaches_another() -> None:
    people = {"a": "anna", "b": "bert", "c": "anna", "d": "bert"}
    slices = [ref for name in people for ref in slices_of_crop(Crop(name, (0, 0, 0), 16), 4)]
    texts = {ref.key: ref.crop.case for ref in slices}
    dealt = shuffle_texts(slices, [people[ref.crop.case] for ref in slices], texts, seed=1)
    assert all(people[dealt[ref.key]] == people[ref.crop.case] != "" for ref in slices)
    assert all(dealt[ref.key] != ref.crop.case for ref in slices)
