"""The stage: counts that are right, a page that shows texts as text, and nothing done twice."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from med3dinsight.auditing.config import AuditConfig
from med3dinsight.auditing.run import run
from med3dinsight.auditing.tally import OTHER_ANSWER
from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.run import run as caption
from med3dinsight.config import build
from med3dinsight.errors import ConfigError, WorkspaceError
from med3dinsight.records import SliceRef
from med3dinsight.workspace.caption_store import CaptionStore, Written
from med3dinsight.workspace.files import read_json
from med3dinsight.workspace.overview import overview, remove_stage

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">{{ 7 * 7 }}\u202e\x07 axial'


class Tags(HTMLParser):
    """Tags of a page and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def said(ref: SliceRef) -> str:
    """True of every second slice; the others name another plane."""
    plane = int(ref.plane) if ref.index // 2 % 2 else (int(ref.plane) + 1) % 3
    return f"A {('axial', 'coronal', 'sagittal')[plane]} CT slice, number {ref.index}."


@pytest.fixture
def captioned(toy: Any) -> Any:
    """Anna (with a label map) and bert, captioned by ``model``."""
    toy.add("anna")
    toy.add("bert", names=None)
    toy.prepare()
    toy.slices = toy.caption("model", text=said)
    return toy


def audited(toy: Any, **settings: Any) -> tuple[dict[str, Any], Tags, str]:
    result = run(AuditConfig(**settings), toy.workspace)
    page = Path(result.page).read_text(encoding="utf-8")
    return read_json(Path(result.audit)), Tags(page), page


def test_shares_are_of_the_texts_that_say_something(captioned: Any) -> None:
    audit, _, _ = audited(captioned)
    slices = captioned.slices
    right = sum(ref.index // 2 % 2 for ref in slices)
    assert 0 < right < len(slices)
    assert audit["captioner"] == "model"
    assert audit["texts"] == audit["plane"]["said"] == audit["checked"] == len(slices)
    assert audit["plane"]["agree"] == right
    assert audit["contradicting"] == len(slices) - right
    assert audit["score"] == audit["plane"]["share"] == round(right / len(slices), 4)
    assert audit["plane"]["by_chance"] == pytest.approx(1 / 3, abs=0.01)
    assert audit["modality"]["share"] == audit["modality"]["by_chance"] == 1.0
    assert audit["side"] == {"said": 0, "agree": 0, "share": None}
    assert audit["organs"]["share"] is None
    assert audit["labelled_cases"] == 1
    assert audit["guessed_modalities"] == 0
    assert audit["duplicates"]["distinct"] == len({said(ref) for ref in slices})
    texts = [said(ref) for ref in slices]
    most = audit["duplicates"]["most_repeated"]
    assert most["times"] == texts.count(most["text"]) == max(map(texts.count, texts))
    assert audit["length"] == {"shortest": 6, "median": 6, "p95": 6, "longest": 6, "long": 0}


def test_organs_are_checked_by_the_label_map_where_there_is_one(captioned: Any) -> None:
    captioned.caption("model", text=lambda ref: "a ball")
    audit, _, _ = audited(captioned)
    anna = [ref for ref in captioned.slices if "anna" in ref.crop.case]
    row = audit["organs"]["by_organ"]["ball"]
    assert audit["organs"]["said"] == row["said"] == len(anna) < audit["texts"]
    assert 0 < row["agree"] < row["said"]
    assert row["seen"] == row["seen_and_named"] <= row["agree"]
    assert set(audit["organs"]["by_organ"]) == {"ball"}, "three letters are no name that a text would use"


def test_texts_are_shown_as_text_and_nothing_is_loaded(captioned: Any) -> None:
    captioned.caption("model", text=lambda ref: HOSTILE + "x" * (1_000_000 if ref == captioned.slices[0] else 0))
    _, tags, page = audited(captioned, examples=3)
    assert "script" not in tags.names
    assert "<script>alert(1)</script>" in tags.text
    assert "{{ 7 * 7 }}" in tags.text
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert all((value or "").startswith("data:") for name, value in tags.attributes if name == "src")
    assert "\u202e" not in page
    assert "\x07" not in page
    assert "\\u202e\\x07" in page
    assert not re.search(r"https?://", page)
    assert len(page) < 1_000_000


def test_the_worst_come_first_and_the_sample_is_the_same_again(captioned: Any) -> None:
    audit, tags, page = audited(captioned, examples=4)
    assert len(audit["worst"]) == 4
    assert all("says " in row["reasons"][0] for row in audit["worst"])
    assert tags.names.count("img") == 8
    remove_stage(captioned.workspace, "caption-audit")
    assert audited(captioned, examples=4)[2] == page
    assert audited(captioned, examples=4, seed=1)[2] != page


def test_refusals_long_texts_flags_and_missing_texts_are_counted(captioned: Any) -> None:
    keys = [ref.key for ref in captioned.slices]
    with CaptionStore(captioned.workspace.captions) as ledger:
        ledger.add("other", [Written(keys[0], "", ("quarantined",)), Written(keys[1], "I'm sorry, I can't help.")])
        ledger.add("other", [Written(keys[2], "word " * 50, ("long", "link")), Written(keys[3], "fine")])
    audit, tags, _ = audited(captioned, captioner="other", most_words=40)
    assert (audit["slices"], audit["texts"], audit["without_text"], audit["checked"]) == (4, 3, 1, 0)
    assert audit["score"] is None
    assert audit["refusals"]["texts"] == audit["length"]["long"] == 1
    assert audit["flags"] == {"link": 1, "long": 1, "quarantined": 1}
    assert "refuses to describe" in tags.text
    assert {row["slice"] for row in audit["worst"]} == {keys[1], keys[2]}


def test_a_wrong_answer_beside_a_true_text_counts_and_is_told_apart(captioned: Any) -> None:
    refs = captioned.slices[:3]
    texts = ["A slice.", f"A {refs[1].plane.name.lower()} CT slice.", "A slice."]
    flags = [("wrong-plane",), ("wrong-modality",), ()]
    with CaptionStore(captioned.workspace.captions) as ledger:
        ledger.add("other", [Written(ref.key, *row) for ref, *row in zip(refs, texts, flags, strict=True)])
    audit, tags, _ = audited(captioned, captioner="other")
    assert (audit["checked"], audit["contradicting"], audit["contradicting_by_flag"], audit["score"]) == (2, 2, 2, 0.0)
    assert (audit["plane"]["by_flag"], audit["modality"]["by_flag"]) == (1, 1)
    assert audit["plane"]["by_chance"] == 1.0, "by the one text that names a plane"
    assert (audit["plane"]["said"], audit["plane"]["agree"]) == (2, 1)
    assert sum(named.get(OTHER_ANSWER, 0) for named in audit["plane"]["counts"].values()) == 1
    assert "2 of them only by the flag" in tags.text
    assert "flagged wrong-plane when it was written" in tags.text


def test_two_captioners_are_compared_beside_chance(captioned: Any) -> None:
    captioned.caption("second", text=said)
    same = audited(captioned, captioner="model", against="second")[0]["agreement"]
    assert same["identical"] == same["plane"]["share"] == same["words"] == 1.0
    assert same["words_by_chance"] < 1.0
    assert same["organs"]["share"] is None
    captioned.caption("third", text=lambda ref: "sagittal MRI of something else")
    other = audited(captioned, captioner="model", against="third")[0]["agreement"]
    assert other["slices"] == len(captioned.slices)
    assert other["modality"]["share"] == 0.0
    assert 0 < other["plane"]["share"] < 1


def test_built_captioners_tell_the_truth_and_shuffled_texts_do_not(captioned: Any) -> None:
    small = {"crop_size": 16, "crops_per_volume": 4, "positions_per_plane": 8}
    for name in ("tissue", "template", "shuffled"):
        caption(CaptionConfig(captioner=name, **small), captioned.workspace)
    shares = {name: audited(captioned, captioner=name)[0]["plane"] for name in ("tissue", "template", "shuffled")}
    assert shares["template"]["share"] == 1.0
    assert shares["tissue"]["share"] == 1.0
    assert shares["tissue"]["said"] <= shares["template"]["said"]
    assert shares["shuffled"]["share"] < 0.6


def test_nothing_is_done_twice_until_a_text_changes(captioned: Any) -> None:
    assert not run(AuditConfig(), captioned.workspace).done_before
    assert run(AuditConfig(), captioned.workspace).done_before
    assert {row["stage"]: row["complete"] for row in overview(captioned.workspace)}["audit"] == ["model"]
    with CaptionStore(captioned.workspace.captions) as ledger:
        ledger.add("model", [(captioned.slices[0].key, "another text")])
    again = run(AuditConfig(), captioned.workspace)
    assert not again.done_before
    Path(again.page).unlink()
    assert not run(AuditConfig(), captioned.workspace).done_before


def test_whose_texts_must_be_clear(captioned: Any) -> None:
    with pytest.raises(WorkspaceError, match="did you mean model"):
        run(AuditConfig(captioner="modell"), captioned.workspace)
    captioned.caption("shuffled", text=said)
    assert run(AuditConfig(), captioned.workspace).captioner == "model", "controls are not meant"
    captioned.caption("second", text=said)
    with pytest.raises(WorkspaceError, match="texts of model, second"):
        run(AuditConfig(), captioned.workspace)


def test_without_captions_the_verb_to_run_is_named(toy: Any) -> None:
    toy.add("anna")
    toy.prepare()
    with pytest.raises(WorkspaceError, match="med3dinsight caption"):
        run(AuditConfig(), toy.workspace)


def test_a_modality_that_was_guessed_is_called_a_guess(toy: Any) -> None:
    toy.add("anna")
    toy.prepare(modality="auto")
    toy.caption("model", text=said)
    audit, tags, _ = audited(toy)
    assert audit["guessed_modalities"] == 1
    assert "was guessed from the intensities" in tags.text


def test_a_name_is_no_path() -> None:
    with pytest.raises(ConfigError, match="not a path"):
        build(AuditConfig, {"captioner": "../../elsewhere"}, "audit")
