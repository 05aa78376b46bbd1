"""Verbs that are no stage: lists, data sets, prediction, status, clean."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest

from med3dinsight.records import LeftOut, Source
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import StageRecord, write_record

from .conftest import Call


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        ("encoders", "conv_tiny"),
        ("networks", "unetr"),
        ("captioners", "shuffled"),
        ("towers", "minilm-lite"),
        ("methods", "insight"),
    ],
)
def test_lists_have_a_row_with_the_same_keys_for_every_name(call: Call, verb: str, name: str) -> None:
    rows = call(verb, "--json").json["names"]
    assert name in [row["name"] for row in rows]
    assert all(list(row)[:5] == ["name", "parameters", "tokens", "kind", "source"] for row in rows)
    assert {line.split()[0] for line in call(verb).out.splitlines()} == {row["name"] for row in rows}


def test_a_name_that_is_a_network_of_two_tasks_has_a_line_for_each(call: Call) -> None:
    lines = [line.split() for line in call("networks").out.splitlines() if line.startswith("vit_tiny ")]
    assert [line[3] for line in lines] == ["segmentation", "classification"]


def test_datasets_lists_layouts(call: Call) -> None:
    assert {"sample", "folder"} <= set(call("datasets", "--json").json["names"])
    assert call("datasets", "list", "--json").json == call("datasets", "--json").json


def test_datasets_check_names_what_is_wrong(call: Call, tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)), tmp_path / "good.nii.gz")
    (tmp_path / "bad.nii.gz").write_bytes((tmp_path / "good.nii.gz").read_bytes()[:40])
    (problem,) = call("datasets", "check", "folder", tmp_path, "--json").json["problems"]
    assert set(problem) == {"file", "reason", "hint"}
    assert problem["file"].endswith("bad.nii.gz")
    assert "1 problems" in call("datasets", "check", "folder", tmp_path).out
    assert call("datasets", "check", "foldr", tmp_path).err.endswith("hint: did you mean folder?\n")


def test_datasets_fetch_writes_the_sample(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(directory: Path, progress: Any) -> list[Source]:
        asked.append(directory)
        return [Source("chest_ct", "chest_ct", "image", origin="A package.", licence="MIT")]

    monkeypatch.setattr("med3dinsight.datasets.sample.fetch_sample", fetch)
    answer = call("datasets", "fetch", "sample", tmp_path / "scans", "--json")
    assert answer.json["names"] == ["chest_ct"]
    assert asked == [tmp_path / "scans"]
    assert "A package. MIT" in answer.err


@dataclass(frozen=True)
class Predicted:
    """What the stand-in of ``predict`` returns."""

    predicted: int
    left_out: tuple[LeftOut, ...]


def test_predict_passes_its_paths_and_device_on(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def predict(*arguments: Any) -> Predicted:
        asked.append(arguments[:-1])
        return Predicted(3, (LeftOut("b.nii", "is empty", "copy it"),))

    # The real module imports torch.
    monkeypatch.setitem(sys.modules, "med3dinsight.predicting.scans", SimpleNamespace(predict=predict))
    answer = call("predict", "model", "scans", "out", "--device", "cpu", "--json")
    assert asked == [(Path("model"), Path("scans"), Path("out"), "cpu")]
    assert answer.json == {"predicted": 3, "left_out": [{"file": "b.nii", "reason": "is empty", "hint": "copy it"}]}
    assert call("predict", "model", "scans", "out", "--dry-run", "--json").json["dry_run"] is True
    assert len(asked) == 1


@pytest.fixture
def half_done(work: Path) -> Workspace:
    """A workspace with one complete stage, one complete run and one that is not."""
    workspace = Workspace(work)
    for folder in (workspace.prepared, workspace.pretraining / "a"):
        folder.mkdir(parents=True)
        write_record(folder, StageRecord("s", "f", {}, {}, 0.0))
    (workspace.pretraining / "b").mkdir()
    (workspace.prepared / "voxels.u8").write_bytes(bytes(100_000))
    return workspace


def test_status_says_what_is_done_and_what_it_takes(call: Call, half_done: Workspace) -> None:
    answer = call("status", half_done.root, "--json").json
    stages = {row["stage"]: row for row in answer["stages"]}
    assert stages["prepared"]["state"] == "done"
    assert stages["pretraining"]["state"] == "unfinished"
    assert (stages["pretraining"]["complete"], stages["pretraining"]["unfinished"]) == (["a"], ["b"])
    assert stages["report"]["state"] == "absent"
    assert answer["bytes"] >= stages["prepared"]["bytes"] >= 100_000
    assert "b (unfinished)" in call("status", half_done.root).out


def test_status_names_what_is_damaged(call: Call, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(-900, 900, (40, 30, 20)).astype(np.int16)
    write_nifti(tmp_path / "scans" / "a.nii", array, np.eye(4))
    prepared = call("prepare", tmp_path / "work", "--source", tmp_path / "scans", "--protocol", "native")
    assert prepared.code == 0, prepared.err
    assert "plan: 1 case at 1 x 1 x 1 mm" in prepared.out
    assert call("status", tmp_path / "work", "--verify", "--json").json["damaged"] == []
    file = tmp_path / "work" / "prepared" / "volumes" / "a.b2nd"
    content = bytearray(file.read_bytes())
    content[-3000] ^= 0xFF
    file.write_bytes(content)
    answer = call("status", tmp_path / "work", "--verify", "--json")
    assert [item["case"] for item in answer.json["damaged"]] == ["a"]
    assert "a.b2nd" in answer.json["damaged"][0]["reason"]
    assert (answer.code, answer.json["exit_code"]) == (2, 2)
    assert answer.json["error"] == "1 of 1 prepared volume is damaged: a"
    assert "prepare" in answer.json["hint"]
    told = call("status", tmp_path / "work", "--verify")
    assert told.code == 2
    assert "damaged: a: " in told.out
    assert "error: 1 of 1 prepared volume is damaged: a\nhint: run the same `med3dinsight prepare " in told.err


def written(path: Path) -> tuple[int, int, int]:
    """Which file it is, and when and how long it was written; reading it changes nothing of that."""
    state = path.stat()
    return state.st_ino, state.st_mtime_ns, state.st_size


def test_what_verify_finds_the_same_prepare_mends(call: Call, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(-900, 900, (12, 10, 8)).astype(np.int16)
    for name in "abcdefgh":
        write_nifti(tmp_path / "scans" / f"{name}.nii", array, np.eye(4))
    prepare = ("prepare", tmp_path / "work", "--source", tmp_path / "scans", "--protocol", "native", "--workers", "1")
    assert call(*prepare).code == 0
    volumes = tmp_path / "work" / "prepared" / "volumes"
    intact = {path.name: written(path) for path in volumes.iterdir()}
    assert call("status", tmp_path / "work", "--verify").code == 0
    assert {path.name: written(path) for path in volumes.iterdir()} == intact
    for name in "abcdef":
        content = bytearray((volumes / f"{name}.b2nd").read_bytes())
        content[-100] ^= 0xFF
        (volumes / f"{name}.b2nd").write_bytes(content)
    (volumes / "g.b2nd").unlink()
    answer = call("status", tmp_path / "work", "--verify", "--json")
    assert len(answer.json["damaged"]) == 7
    assert answer.json["error"] == "7 of 8 prepared volumes are damaged: a, b, c, d, e and 2 more"
    assert call("slices", tmp_path / "work", tmp_path / "pictures").code == 2
    mended = call(*prepare, "--json")
    assert (mended.code, mended.json["prepared"], mended.json["done_before"]) == (0, 8, False)
    assert call("status", tmp_path / "work", "--verify").code == 0
    assert written(volumes / "h.b2nd") == intact["h.b2nd"]
    assert call(*prepare, "--json").json["done_before"]


def test_a_dry_run_of_preparing_forecasts_and_writes_nothing(call: Call, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(-900, 900, (40, 30, 20)).astype(np.int16)
    write_nifti(tmp_path / "scans" / "a.nii", array, np.eye(4))
    (tmp_path / "scans" / "b.nii").write_bytes(b"no image")
    words = ("prepare", tmp_path / "work", "--source", tmp_path / "scans", "--protocol", "native", "--dry-run")
    told = call(*words, "--json").json["forecast"]
    assert told["disk_bytes"]["voxels"] > 5000
    assert [Path(item["file"]).name for item in told["left_out"]] == ["b.nii"]
    assert (told["scans"], told["workers"]) == (1, 1)
    assert "forecast: " in call(*words).out
    assert not (tmp_path / "work").exists()


def test_clean_removes_one_stage_by_its_name_or_its_verb(call: Call, half_done: Workspace) -> None:
    kept = call("clean", half_done.root, "prepare", "--dry-run", "--json")
    assert kept.json["stage"] == "prepared"
    assert half_done.prepared.exists()
    answer = call("clean", half_done.root, "prepare", "--json")
    assert answer.json["bytes"] >= 100_000
    assert not half_done.prepared.exists()
    assert half_done.pretraining.exists()
    assert call("clean", half_done.root, "pretraining").code == 0
    assert not half_done.pretraining.exists()


@pytest.mark.parametrize("stage", ["preprared", "..", ".", "/", "workspace.json", ""])
def test_clean_refuses_what_is_no_stage(call: Call, half_done: Workspace, stage: str) -> None:
    before = sorted(half_done.root.rglob("*"))
    answer = call("clean", half_done.root, stage)
    assert answer.code == 2
    assert "no stage called" in answer.err
    assert sorted(half_done.root.rglob("*")) == before


def test_clean_refuses_a_folder_that_is_no_workspace(call: Call, tmp_path: Path) -> None:
    (tmp_path / "precious" / "prepared").mkdir(parents=True)
    assert call("clean", tmp_path / "precious", "prepared").code == 2
    assert (tmp_path / "precious" / "prepared").exists()


def test_clean_waits_for_nobody_who_is_working(call: Call, half_done: Workspace) -> None:
    with half_done.lock():
        answer = call("clean", half_done.root, "prepared")
    assert answer.code == 2
    assert "is in use by process" in answer.err
    assert half_done.prepared.exists()
