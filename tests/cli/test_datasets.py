"""``datasets``: what the lists and checks print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from rich.cells import cell_len

from med3dinsight.cli.problem_table import problem_table
from med3dinsight.datasets import LAYOUTS, Facts, Layout

from .conftest import Call

PROBLEMS = [
    {
        "file": "/scans/anna [bold]/ct_with_a_name_that_is_long.nii",
        "reason": "is truncated",
        "hint": "copy it again",
    },
    {"file": "/scans", "reason": "no scan " * 12, "hint": "give a folder"},
    {"file": "/elsewhere/胸部.nii", "reason": "x", "hint": "y"},
]


@pytest.mark.parametrize("width", [30, 60, 89, 90, 120, 200])
def test_a_table_of_problems_says_everything_and_fits_the_terminal(width: int) -> None:
    lines = problem_table(PROBLEMS, Path("/scans"), width)
    assert max(map(cell_len, lines)) <= max(width, len("anna [bold]/ct_with_a_name_that_is_long.nii"))
    text = " ".join(" ".join(lines).split())
    squeezed = text.replace(" ", "")
    assert "[bold]" in text
    assert "/scans/anna" not in text
    assert squeezed.count("noscan") == 12 or width >= 90
    for word in ("truncated", "copy", "胸部", "folder"):
        assert word in squeezed


def test_a_wide_terminal_has_columns_and_a_narrow_one_blocks() -> None:
    assert problem_table(PROBLEMS, Path("/scans"), 120)[0].split() == ["file", "reason", "what", "to", "do"]
    assert problem_table(PROBLEMS[:1], Path("/scans"), 60) == [
        "anna [bold]/ct_with_a_name_that_is_long.nii",
        "  is truncated",
        "  -> copy it again",
    ]
    assert problem_table([], Path("/scans"), 120) == []


def test_check_tells_what_the_folder_holds(call: Call, tmp_path: Path) -> None:
    for name in ("a", "b"):
        nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)), tmp_path / f"{name}.nii.gz")
    (tmp_path / "samples.csv").write_text(
        "image,subject,modality,licence\na.nii.gz,anna,mr,CC0\nb.nii.gz,anna,mr,CC0\n"
    )
    answer = call("datasets", "check", "auto", tmp_path, "--json")
    expected = {"layout": "table", "scans": 2, "subjects": 1, "labelled": 0, "modalities": {"mr": 2}, "licence": "CC0"}
    assert {key: answer.json[key] for key in expected} == expected
    out = call("datasets", "check", "auto", tmp_path).out
    assert "layout: table, a table" in out
    assert "2 scans of 1 subjects, 0 with a label map" in out
    assert "licence: CC0; whether services of others may see it is not stated" in out
    assert "0 problems in" in out


def test_the_list_parts_public_sets_from_layouts(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Facts("The Moons", "CT", "CC-BY 9", "Moon 2020", "x", "forbidden", gated=True, classes=((1, "moon"),))
    moons = Layout("moons/*.nii", lambda directory, pattern: ([], []), lambda directory: False, facts=facts)
    monkeypatch.setitem(LAYOUTS, "moons", moons)
    out = call("datasets").out
    general, public = out.split("Public data sets")
    assert all(f"  {name} " in general for name in ("table", "bids", "msd", "nnunet", "folder"))
    assert "moons" not in general
    assert "CC-BY 9; services of others must not see it; terms must be agreed to before the download" in public
    rows = {row["name"]: row for row in call("datasets", "--json").json["layouts"]}
    assert rows["moons"]["classes"] == [[1, "moon"]]
    assert (rows["moons"]["public"], rows["folder"]["public"], rows["moons"]["gated"]) == (True, False, True)


def test_prepare_says_the_layout_before_it_begins(call: Call, tmp_path: Path) -> None:
    scan = np.arange(729, dtype=np.float32).reshape(9, 9, 9)
    nibabel.save(nibabel.Nifti1Image(scan, np.eye(4)), tmp_path / "a.nii.gz")
    (tmp_path / "list.tsv").write_text("image\tmodality\na.nii.gz\tmr\n")
    answer = call("prepare", tmp_path / "work", "--source", tmp_path / "list.tsv", "--json")
    assert answer.json["layout"] == "table"
    assert answer.err.startswith("layout: table, a table")
    assert call("prepare", tmp_path / "work", "--source", tmp_path, "--layout", "foldr").err.count("did you mean") == 1


def test_a_name_that_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.nii", "wb") as handle:
        handle.write(b"x")
    command = [sys.executable, "-m", "med3dinsight", "datasets", "check", "auto", str(tmp_path)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert "caf\\udce9.nii" in done.stdout
    assert "1 problems" in done.stdout
