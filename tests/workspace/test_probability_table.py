from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.errors import WorkspaceError
from med3dinsight.workspace.probability_table import ProbabilityRow, read_probabilities, write_probabilities

CLASSES = ("AD", "NC")
ROW = ProbabilityRow("scans/a b, c.nii.gz", (1 / 3, 2 / 3), "a", "anna", "AD")


def test_every_digit_comes_back(tmp_path: Path) -> None:
    write_probabilities(tmp_path / "p.csv", CLASSES, [ROW], of_cases=True)
    assert read_probabilities(tmp_path / "p.csv", CLASSES) == [ROW]


@given(image=st.text(st.characters(codec="utf-8", exclude_characters="\r\0")), share=st.floats(0, 1))
def test_any_name_of_an_image_comes_back(tmp_path_factory: pytest.TempPathFactory, image: str, share: float) -> None:
    path = tmp_path_factory.getbasetemp() / "names.csv"
    write_probabilities(path, CLASSES, [ProbabilityRow(image, (share, 1 - share))])
    assert read_probabilities(path, CLASSES) == [ProbabilityRow(image, (share, 1 - share))]


def test_a_scan_of_no_workspace_has_three_kinds_of_columns(tmp_path: Path) -> None:
    rows = [ProbabilityRow("a.nii", (0.25, 0.75)), ProbabilityRow("b.nii", (0.5, 0.5))]
    write_probabilities(tmp_path / "p.csv", CLASSES, rows)
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines == ["image,probability_AD,probability_NC,predicted", "a.nii,0.25,0.75,NC", "b.nii,0.5,0.5,AD"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no predictions at"),
        ("image,probability_AD,predicted\na,1,AD\n", "no table of these classes"),
        ("image,probability_AD,probability_NC,predicted\na,one,0,AD\n", "no table of these classes"),
        ("image,probability_AD,probability_NC,predicted\na\n", "no table of these classes"),
        (f"image,probability_AD,probability_NC,predicted\na,{math.nan},1,AD\n", "no number"),
    ],
)
def test_a_missing_or_damaged_table_is_said(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "p.csv").write_text(content)
    with pytest.raises(WorkspaceError, match=message) as caught:
        read_probabilities(tmp_path / "p.csv", CLASSES)
    assert "finetune" in caught.value.hint
