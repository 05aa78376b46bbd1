"""Tables of scans."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight import datasets
from med3dinsight.datasets.table import read_table
from med3dinsight.errors import ConfigError, InputError
from med3dinsight.records import Source

from .tiny_scans import label, scan, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scans, of which one has a label map."""
    scan(tmp_path / "a.nii.gz")
    scan(tmp_path / "x/b.nii.gz")
    label(tmp_path / "x/b_map.nii.gz")
    return tmp_path


def read(folder: Path, text: str, name: str = "samples.csv") -> tuple[list[Source], list[str]]:
    (folder / name).write_bytes(text.encode())
    sources, problems = datasets.find(folder if name.startswith("samples") else folder / name)
    return sources, [problem.reason for problem in problems]


def test_a_table_says_what_the_files_are(folder: Path) -> None:
    write(folder / "x/b_map.json", '{"1": "liver"}')
    (first, second), problems = read(
        folder,
        "image,label,subject,modality,origin,licence,split,age\n"
        "x/b.nii.gz,x/b_map.nii.gz,anna,MRI,a clinic,CC0,Val,70\n"
        "a.nii.gz,,,,,,,\n",
    )
    assert (first.id, first.subject, first.modality, first.split) == ("x-b", "anna", "mr", "validation")
    assert (first.label_names, first.origin, first.licence) == (((1, "liver"),), "a clinic", "CC0")
    assert (second.id, second.subject, second.modality, second.label, second.split) == ("a", "a", None, None, "")
    assert problems == []


@pytest.mark.parametrize("name", ["list.csv", "list.TSV", "samples.tsv"])
def test_any_csv_or_tsv_file_is_a_source_by_itself(folder: Path, name: str) -> None:
    text = "image,subject\na.nii.gz,anna\n"
    (source,), _ = read(folder, text.replace(",", "\t") if name.lower().endswith("tsv") else text, name)
    assert (source.id, source.subject, source.image) == ("a", "anna", str(folder / "a.nii.gz"))
    assert datasets.detect(folder if name.startswith("samples") else folder / name) == "table"


def test_a_label_is_a_map_where_it_is_called_like_one_and_a_class_elsewhere(folder: Path) -> None:
    sources, problems = read(
        folder,
        "id,image,label,mask\n"
        "1,a.nii.gz,x/b_map.nii.gz,\n"
        "2,a.nii.gz,sick,\n"
        "3,a.nii.gz,2,x/b_map.nii.gz\n"
        "4,a.nii.gz,gone.nii.gz,\n"
        "5,a.nii.gz,x/b_map.nii.gz,a.nii.gz\n"
        "6,a.nii.gz,,gone.nii.gz\n",
    )
    assert [(source.label and Path(source.label).name, source.class_label) for source in sources] == [
        ("b_map.nii.gz", ""),
        (None, "sick"),
        ("b_map.nii.gz", "2"),
    ]
    assert problems == [
        "line 5: the label map 'gone.nii.gz' of the table is missing",
        "line 6: it has two label maps, x/b_map.nii.gz and a.nii.gz",
        "line 7: the label map 'gone.nii.gz' of the table is missing",
    ]


def test_a_report_is_text_or_a_file_with_it(folder: Path) -> None:
    write(folder / "r.txt", "No finding.")
    sources, problems = read(
        folder,
        'id,image,report\n1,a.nii.gz,"A nodule, 4 mm,\nin the ""left"" lung."\n2,a.nii.gz,r.txt\n3,a.nii.gz,no.txt\n',
    )
    assert [source.report for source in sources] == ['A nodule, 4 mm,\nin the "left" lung.', str(folder / "r.txt")]
    assert problems == ["line 5: the report 'no.txt' of the table is missing"]


def test_series_and_channels_have_ids_of_their_own(folder: Path) -> None:
    sources, problems = read(
        folder, "image,series,channel\na.nii.gz,,0\na.nii.gz,,1\na.nii.gz,1.2.3,\na.nii.gz,,-1\na.nii.gz,,x\n"
    )
    assert [(source.id, source.series, source.channel) for source in sources] == [
        ("a_0000", "", 0),
        ("a_0001", "", 1),
        ("a_1.2.3", "1.2.3", None),
    ]
    assert problems == ["line 5: the table says channel '-1'", "line 6: the table says channel 'x'"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffimage,subject\r\na.nii.gz,Zoë\r\n",
        "Image ;SUBJECT\na.nii.gz;Zoë\n",
        '"image","subject"\n"a.nii.gz","Zoë"\n\n,\n',
        "subject,image\nZoë,a.nii.gz",
    ],
)
def test_what_spreadsheets_write_is_read(folder: Path, text: str) -> None:
    (source,), problems = read(folder, text)
    assert (source.subject, Path(source.image).name, problems) == ("Zoë", "a.nii.gz", [])


def test_rows_that_cannot_be_used_are_named_with_their_line(folder: Path) -> None:
    sources, problems = read(
        folder,
        "image,modality,split\n"
        "gone.nii.gz,,\n"
        ",ct,\n"
        f"{'x/' * 3000}.nii,,\n"
        "a.nii.gz,xray,\n"
        "a.nii.gz,,holdout\n"
        "a.nii.gz,ct,train,and,more\n"
        "a.nii.gz,ct,train\n",
    )
    assert [source.id for source in sources] == ["a"]
    assert problems == [
        "line 2: the image 'gone.nii.gz' of the table is missing",
        "line 3: the image '' of the table is missing",
        f"line 4: the image '{'x/' * 3000}.nii' of the table is missing",
        "line 5: the table says modality 'xray'",
        "line 6: the table says split 'holdout'",
        "line 7: it has 2 more values than there are columns",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no column `image`"),
        (b"path,label\na.nii.gz,1\n", "no column `image`; it has path, label"),
        (b"image,subject\na.nii.gz,J\xfcrgen\n", "is not UTF-8: byte 0xfc in line 2"),
        ("image\na.nii.gz\n".encode("utf-16"), "is not UTF-8: byte 0xff in line 1"),
        (b"image,Image\na.nii.gz,\n", "has the column `image` twice"),
        (b"image\na.nii.gz\na.nii.gz\n", "names the id a twice, in lines 2 and 3"),
        (b"id,image\nA,a.nii.gz\na,x/b.nii.gz\n", "names the id a twice, in lines 2 and 3"),
        (b'image,report\na.nii.gz,"never closed\nx/b.nii.gz,\n', "is no sound table"),
        (b"image,report\na.nii.gz," + b"x" * 200_000 + b"\n", "is no sound table"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(folder: Path, content: bytes, reason: str) -> None:
    (folder / "samples.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        datasets.find(folder)
    assert reason in caught.value.message
    assert caught.value.hint


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no table of scans"):
        datasets.find(tmp_path, "table")
    with pytest.raises(InputError, match=r"gone\.csv does not exist"):
        datasets.find(tmp_path / "gone.csv")


def test_a_pattern_finds_subjects_that_no_column_tells(folder: Path) -> None:
    write(folder / "samples.csv", "image,subject\na.nii.gz,\nx/b.nii.gz,anna\n")
    sources, _ = datasets.find(folder, subject_pattern="^(.)")
    assert [source.subject for source in sources] == ["a", "anna"]
    with pytest.raises(ConfigError, match="has no group"):
        datasets.find(folder, subject_pattern="x")


def test_check_tells_of_people_on_two_sides_and_of_scans_without_a_row(folder: Path) -> None:
    write(folder / "samples.csv", "id,image,subject,split\n1,a.nii.gz,anna,train\n2,x/b.nii.gz,anna,test\n")
    scan(folder / "c.nii.gz")
    result = datasets.check("auto", folder)
    assert [(Path(problem.file).name, problem.reason) for problem in result.problems] == [
        ("c.nii.gz", "a scan that the table does not name"),
        ("b_map.nii.gz", "a scan that the table does not name"),
        ("b.nii.gz", "subject anna is in train and in test"),
    ]
    assert (result.layout, result.scans, result.subjects) == ("table", 2, 1)


@given(cells=st.lists(st.lists(st.text(max_size=12), min_size=3, max_size=3), max_size=5))
def test_whatever_stands_in_the_cells_only_known_errors_come_out(
    cells: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["image", "label", "report"], *cells])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.getvalue().encode(errors="replace"))
    try:
        sources, problems = read_table(path)
    except InputError as error:
        assert error.hint
    else:
        assert len(sources) + len(problems) <= len(cells)
