"""Tables that come with data sets."""

from __future__ import annotations

import zipfile

import pytest
from replica_files import excel

from med3dinsight.datasets.public.rows import read_rows
from med3dinsight.errors import InputError


def test_csv_tsv_and_excel_give_the_same_rows(tmp_path):
    rows = [["MRI ID", "Group", "CDR"], ["a & b", "", "0.5"], ["c", "Demented", ""]]
    (tmp_path / "t.csv").write_text("\ufeffMRI ID,Group,CDR\na & b,,0.5\n c ,Demented\n", encoding="utf-8")
    (tmp_path / "t.tsv").write_text("MRI ID\tGroup\tCDR\na & b\t\t0.5\nc\tDemented\t\n")
    excel(tmp_path / "t.xlsx", rows)
    expected = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    assert [read_rows(tmp_path / f"t.{kind}") for kind in ("csv", "tsv", "xlsx")] == [expected] * 3


def test_an_excel_file_with_texts_in_place_is_read(tmp_path):
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    cells = '<row><c t="inlineStr"><is><t>id</t></is></c></row><row><c t="inlineStr"><is><t>x</t></is></c></row>'
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
        )
    assert read_rows(tmp_path / "t.xlsx") == [{"id": "x"}]


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"<worksheet",
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaa">]><worksheet>&a;</worksheet>',
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row>'
        b'<c r="A1" t="s"><v>7</v></c></row></sheetData></worksheet>',
    ],
    ids=["empty", "cut", "entities", "no such text"],
)
def test_a_broken_excel_file_is_an_input_error(tmp_path, part):
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", part)
    with pytest.raises(InputError, match=r"t\.xlsx is no") as caught:
        read_rows(tmp_path / "t.xlsx")
    assert "CSV" in caught.value.hint


def test_other_broken_tables_are_input_errors_too(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"no archive")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00name")
    with zipfile.ZipFile(tmp_path / "c.xlsx", "w"):
        pass
    for name in ("a.xlsx", "b.csv", "c.xlsx", "missing.csv"):
        with pytest.raises(InputError):
            read_rows(tmp_path / name)
    (tmp_path / "empty.csv").write_text("")
    assert read_rows(tmp_path / "empty.csv") == []


def test_an_excel_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("med3dinsight.datasets.public.rows.MAX_PART", 1 << 16)
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (1 << 20))
    with pytest.raises(InputError, match="too large"):
        read_rows(tmp_path / "t.xlsx")
