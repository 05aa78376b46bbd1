"""Radiology reports as texts of slices."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from learned_workspace import Toy

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.reports import reports_of
from med3dinsight.captions.run import CaptionResult
from med3dinsight.captions.run import run as caption
from med3dinsight.config import build
from med3dinsight.encoders.texts_seen import labels_seen
from med3dinsight.errors import ConfigError, InputError, WorkspaceError
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.voxel_store import read_manifest

SMALL: dict[str, Any] = {"crop_size": 16, "crops_per_volume": 4, "positions_per_plane": 8}
ANNA = ["The liver is enlarged.", "No effusion is seen.", "The spleen is normal, and so on."]


@pytest.fixture
def people(toy: Toy) -> Toy:
    """Anna and bert."""
    toy.add("anna")
    toy.add("bert")
    toy.prepare()
    return toy


def table(toy: Toy, *rows: str, head: str = "subject,report") -> Path:
    path = toy.root / "reports.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def write(toy: Toy, captioner: str = "report", **changes: Any) -> CaptionResult:
    return caption(CaptionConfig(captioner=captioner, **{**SMALL, **changes}), toy.workspace)


def texts_of(toy: Toy, captioner: str = "report") -> dict[str, str]:
    with CaptionStore(toy.workspace.captions) as ledger:
        return ledger.texts(captioner)


def test_every_slice_gets_a_sentence_of_its_own_scan_all_about_equally_often(people: Toy) -> None:
    path = table(people, f'anna,"{" ".join(ANNA)}"', "somebody else,Nothing.")
    result = write(people, reports=path)
    texts = texts_of(people)
    counts = Counter(texts.values())
    assert set(counts) == set(ANNA)
    assert min(counts.values()) > 0.15 * len(texts)
    assert all(key.startswith("anna") for key in texts)
    assert (result.captioned, result.without_text) == (96, 96)
    with CaptionStore(people.workspace.captions) as ledger:
        assert set(ledger.flagged("report").values()) == {("no-report",)}
    assert write(people, reports=path).done_before


def test_only_texts_of_a_report_that_changed_are_written_again(people: Toy) -> None:
    write(people, reports=table(people, f'anna,"{" ".join(ANNA)}"', "bert,All is normal."))
    before = texts_of(people)
    write(people, reports=table(people, f'anna,"{" ".join(ANNA)}"', "bert,A fracture is seen."))
    after = texts_of(people)
    assert {key for key in after if before[key] != after[key]} == {key for key in after if key.startswith("bert")}
    assert set(after.values()) == {*ANNA, "A fracture is seen."}


def test_the_whole_report_is_cut_at_a_sentence(people: Toy) -> None:
    path = table(people, f'anna,"{" ".join(ANNA)}"')
    write(people, reports=path, report_text="whole", report_words=9)
    assert set(texts_of(people).values()) == {"The liver is enlarged. No effusion is seen."}


def test_a_sentence_stands_behind_another_captioners_text(people: Toy) -> None:
    path = table(people, "anna,The liver is enlarged.")
    with pytest.raises(WorkspaceError, match="caption --captioner template"):
        write(people, reports=path, beside="template")
    write(people, "template")
    result = write(people, reports=path, beside="template")
    first, both = texts_of(people, "template"), texts_of(people)
    assert result.without_text == 0
    for key, text in both.items():
        assert text == (f"{first[key]} The liver is enlarged." if key.startswith("anna") else first[key])
    with pytest.raises(WorkspaceError, match="other slices"):
        write(people, reports=path, beside="template", crop_size=12)


def test_texts_beside_labels_tell_whose_labels_they_hold(people: Toy) -> None:
    write(people, "anatomy", held_out=("bert",))
    write(people, reports=table(people, "anna,The liver is enlarged."), beside="anatomy")
    seen = labels_seen(people.workspace.captions / "report")
    assert seen is not None
    assert seen.subjects == {"anna"}


def test_reports_that_the_data_set_brought_are_read_where_there_is_no_table(people: Toy, tmp_path: Path) -> None:
    cases = {case.id: case for case in read_manifest(people.workspace.prepared)}
    with pytest.raises(InputError, match="no prepared scan has a report"):
        reports_of(CaptionConfig(captioner="report"), cases)
    file = tmp_path / "bert.txt"
    file.write_text("From a file.", encoding="utf-8")
    one, other = cases.values()
    brought = {"a": replace(one, id="a", report="All normal."), "b": replace(other, id="b", report=str(file))}
    assert reports_of(CaptionConfig(captioner="report"), brought) == {"a": "All normal.", "b": "From a file."}
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match=r"bert\.txt of b cannot be read"):
        reports_of(CaptionConfig(captioner="report"), brought)


@pytest.mark.parametrize("row", ["case,anna-image", "image,anna/image.nii.gz", "subject,anna"])
def test_a_scan_is_named_by_case_image_or_person(people: Toy, row: str) -> None:
    column, value = row.split(",")
    path = table(people, f"{value},Fine.", head=f"{column},report")
    cases = {case.id: case for case in read_manifest(people.workspace.prepared)}
    assert reports_of(CaptionConfig(captioner="report", reports=path), cases) == {"anna-image": "Fine."}


@pytest.mark.parametrize(
    ("head", "rows", "message"),
    [
        ("subject,text", ["anna,Fine."], "no such columns"),
        ("name,report", ["anna,Fine."], "no such columns"),
        ("subject,report", ["carl,Fine."], "no report about a prepared scan"),
        ("subject,report", [",Fine."], "line 2: no scan is named"),
        ("subject,report", ["anna,Fine.", "anna,Ill."], "line 3: a second report about anna-image"),
        ("image,report", ["image.nii.gz,Fine."], "may be anna-image or bert-image"),
    ],
)
def test_a_table_that_is_unclear_is_refused(people: Toy, head: str, rows: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write(people, reports=table(people, *rows, head=head))
    with pytest.raises(InputError, match="cannot be read"):
        write(people, reports=people.root / "gone.csv")


def test_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="beside themselves"):
        build(CaptionConfig, {"captioner": "report", "beside": "report"}, "caption")
    with pytest.raises(ConfigError, match="shorter than least"):
        build(CaptionConfig, {"captioner": "report", "report_words": 5, "report_least_words": 6}, "caption")
