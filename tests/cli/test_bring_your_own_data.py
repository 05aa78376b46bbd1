"""docs/how-to/bring-your-own-data.md: its commands, on a mixed folder of DICOM, NIfTI, NRRD and what is broken."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from learned_workspace import make_scan

from med3dinsight.workspace.voxel_store import VoxelStore

from .conftest import Call

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "bring-your-own-data.md").read_text(encoding="utf-8")
#: All scans that can be used, and their people.
PEOPLE = {"anna-ct": "anna", "bert-series": "bert", "cleo-later-t1": "cleo"}


def blocks(language: str) -> list[str]:
    return [part.strip() for part in re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)]


@pytest.fixture(autouse=True)
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dicom_series: Callable[..., list[Path]]) -> None:
    """The folder ``scans`` of the text; the working folder holds it."""
    monkeypatch.chdir(tmp_path)
    root = Path("scans")
    (root / "anna").mkdir(parents=True)
    (root / "cleo/later").mkdir(parents=True)
    hu, _ = make_scan(0, (40, 38, 30))
    nib.save(nib.Nifti1Image(hu.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), root / "anna/ct.nii.gz")
    dicom_series(root / "bert/series", make_scan(1, (40, 38, 30))[0].astype(np.int16), spacing=(2.0, 2.0, 2.0))
    mr = SimpleITK.GetImageFromArray(np.abs(make_scan(2, (36, 30, 20))[0]).transpose(2, 1, 0).astype(np.float32))
    mr.SetSpacing((1.0, 1.0, 4.0))
    SimpleITK.WriteImage(mr, str(root / "cleo/later/t1.nrrd"), useCompression=True)
    whole = (root / "anna/ct.nii.gz").read_bytes()
    (root / "dora").mkdir()
    (root / "dora/cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (root / "notes.txt").write_text("no scan")
    (root / "table.csv").write_text(blocks("csv")[0])


def test_a_mixed_folder_is_checked_forecast_and_prepared_by_one_command_each(call: Call) -> None:
    check, both, native, from_table, looking = blocks("bash")
    checked = call(*shlex.split(check)[1:], "--json")
    assert checked.code == 0
    assert [Path(item["file"]).name for item in checked.json["problems"]] == ["cut.nii.gz"]
    dry, really = both.splitlines()
    forecast = call(*shlex.split(dry)[1:], "--json")
    assert forecast.code == 0 and forecast.json["forecast"]["disk_bytes"]["voxels"] > 0
    assert not Path("work/prepared/manifest.jsonl").exists()
    answer = call(*shlex.split(really)[1:], "--json")
    assert answer.code == 0 and answer.json["prepared"] == 3
    assert [Path(item["file"]).name for item in answer.json["left_out"]] == ["cut.nii.gz"]
    assert "cut.nii.gz" in Path("work/prepared/left_out.csv").read_text()
    cases = VoxelStore(Path("work/prepared")).cases
    assert {name: case.subject for name, case in cases.items()} == PEOPLE
    assert {name: case.modality for name, case in cases.items()}["bert-series"] == "ct"
    assert call(*shlex.split(native)[1:]).code == 0
    chosen = VoxelStore(Path("native/prepared")).cases["cleo-later-t1"]
    assert chosen.spacing_mm == pytest.approx((2.0, 2.0, 2.0)), "the median over all headers"
    pictures, verified = looking.splitlines()
    assert call(*shlex.split(pictures)[1:]).code == 0
    assert len(list(Path("pictures").glob("*.png"))) == 9
    assert call(*shlex.split(verified)[1:]).code == 0
    listed = call(*shlex.split(from_table)[1:], "--json")
    assert listed.code == 0 and listed.json["prepared"] == 2
    rows = [json.loads(line) for line in Path("from-table/prepared/manifest.jsonl").read_text().splitlines()]
    assert [(row["subject"], row["class_label"], row["split"]) for row in rows] == [
        ("anna", "sick", "train"),
        ("bert", "well", "test"),
    ]


def test_the_python_of_the_text_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(code, {})
    assert capsys.readouterr().out.startswith("3 [")
    assert Path("python-work/prepared/plan.json").exists()


def test_every_setting_of_the_text_is_one_of_prepare(call: Call) -> None:
    named = set(re.findall(r"\bprepare\.([a-z_]+)", TEXT))
    from med3dinsight.preparing.config import PrepareConfig

    assert named <= set(PrepareConfig.model_fields)
    for spacing in re.findall(r"--set prepare\.spacing_mm=(\w+)", TEXT):
        assert call("prepare", "other", "--source", "scans", "--set", f"prepare.spacing_mm={spacing}").code == 0
