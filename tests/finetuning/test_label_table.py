from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from med3dinsight.errors import InputError, LeakageError
from med3dinsight.finetuning.label_table import LabelTable, read_label_table
from med3dinsight.records import Case

from .conftest import case

HEAD = "image,label,subject"


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    """Anna with two scans, bert and cleo."""
    names = [("anna", "first"), ("anna", "later"), ("bert", "first"), ("cleo", "scan")]
    return [replace(case(*name), image=str(tmp_path / "scans" / name[0] / f"{name[1]}.nii.gz")) for name in names]


def read(folder: Path, cases: list[Case], *lines: str, name: str = "labels.csv") -> LabelTable:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_label_table(folder / name, cases)


def test_rows_find_their_cases_by_path_by_its_end_by_name_and_by_id(tmp_path: Path, cases: list[Case]) -> None:
    table = read(
        tmp_path,
        cases,
        "image,label,subject,remark",
        "scans/anna/first.nii.gz,AD,anna,below the folder of the table",
        f"{tmp_path}/scans/anna/later.nii.gz,AD,anna,absolute",
        "bert/first.nii.gz,NC,bert,the end of the path",
        "scan,NC,cleo,name without ending",
    )
    assert table.classes == ("AD", "NC")
    assert table.class_of == {"anna-first": 0, "anna-later": 0, "bert-first": 1, "cleo-scan": 1}
    assert table.side_of == {}
    by_id = read(tmp_path, cases, "image,label,subject", *(f"{row.id},{row.subject},{row.subject}" for row in cases))
    assert list(by_id.class_of) == [row.id for row in cases]


def test_tabs_and_a_byte_order_mark_are_read(tmp_path: Path, cases: list[Case]) -> None:
    table = read(
        tmp_path,
        cases,
        "\ufeffimage\tlabel\tsubject\tsplit",
        "bert-first\t10\tbert\ttrain",
        "cleo-scan\t9\tcleo\ttest",
        name="labels.tsv",
    )
    assert table.classes == ("9", "10"), "numbers in their order"
    assert table.class_of == {"bert-first": 1, "cleo-scan": 0}
    assert table.side_of == {"bert": "train", "cleo": "test"}


def test_a_case_that_the_table_does_not_name_has_no_label(tmp_path: Path, cases: list[Case]) -> None:
    table = read(tmp_path, cases, "image,label,subject", "bert-first,a,bert", "cleo-scan,b,cleo")
    assert set(table.class_of) == {"bert-first", "cleo-scan"}


def test_what_it_says_decides_its_identity_and_not_how(tmp_path: Path, cases: list[Case]) -> None:
    one = read(tmp_path, cases, "image,label,subject", "bert-first,a,bert", "cleo-scan,b,cleo")
    same = read(tmp_path, cases, "label,subject,image", "b,cleo,scan", "a,bert,bert/first.nii.gz", name="other.csv")
    turned = read(tmp_path, cases, "image,label,subject", "bert-first,b,bert", "cleo-scan,a,cleo")
    assert one.identity == same.identity != turned.identity


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        (["image,label", "bert-first,a"], "labels.csv has no column `subject`", "it has image, label"),
        (
            ["image;label;subject", "bert-first;a;bert"],
            "labels.csv has no column `image`",
            "it has image;label;subject",
        ),
        ([""], "labels.csv has no column `image`", "it has none"),
        (
            [HEAD, "bart-first,a,bart"],
            "line 2: no prepared case has the image bart-first",
            "bert-first?",
        ),
        ([HEAD, "zzzz.nii,a,zoe"], "no prepared case has the image zzzz.nii", "prepare it"),
        ([HEAD, ",a,bert"], "line 2 names no image", "remove the line"),
        ([HEAD, "first.nii.gz,a,anna"], "first.nii.gz may be anna-first or bert-first", "whole path"),
        ([HEAD, "bert-first,,bert"], "line 2: bert-first has no label", "fill it in"),
        ([HEAD, "bert-first", "cleo-scan,b,cleo"], "line 2: bert-first has no label", "fill it in"),
        (
            [HEAD, "bert-first,a,bart"],
            "subject bart, but case bert-first was prepared as bert",
            "same",
        ),
        (
            [HEAD, "bert-first,a,bert", "scans/bert/first.nii.gz,b,bert"],
            "labels case bert-first in line 2 as a and in line 3 as b",
            "one line a case",
        ),
        ([HEAD, "bert-first,a,bert", "cleo-scan,a,cleo"], "has the label a only", "two classes"),
        ([HEAD], "has the label of no case only", "two classes"),
        (
            [f"{HEAD},split", "bert-first,a,bert,dev"],
            "line 2: split dev",
            "write train, validation or test",
        ),
        ([f"{HEAD},split", "bert-first,a,bert,"], r"line 2: split \(empty\)", "in every line"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(
    tmp_path: Path, cases: list[Case], lines: list[str], message: str, hint: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, cases, *lines)
    assert hint in caught.value.hint


def test_a_table_that_is_not_there_or_no_text_is_refused(tmp_path: Path, cases: list[Case]) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_label_table(tmp_path / "none.csv", cases)
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        read_label_table(tmp_path / "picture.csv", cases)


def test_a_person_on_two_sides_is_refused(tmp_path: Path, cases: list[Case]) -> None:
    lines = [f"{HEAD},split", "anna-first,a,anna,train", "anna-later,b,anna,test"]
    with pytest.raises(LeakageError, match="line 3: subject anna is on two sides, train and test"):
        read(tmp_path, cases, *lines)
