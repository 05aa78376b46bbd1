"""`run`, `demo` and `status` of a whole study, its stages replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from med3dinsight.cli import main
from med3dinsight.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "work", create=True)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Calls the command line; returns exit code, JSON and what stood on standard error."""

    def run(*words: str | Path) -> tuple[int, dict[str, Any], str]:
        capsys.readouterr()
        code = main([*map(str, words), "--json"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out), printed.err

    return run


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """A study file; its data are the sample's."""
    path = tmp_path / "study.toml"
    path.write_text(
        """
        [study]
        name = "mine"
        workers = 1
        device = "cpu"
        [finetune]
        classes = { liver = ["liver"], lung = ["lung_*"] }
        train = ["a"]
        [[arm]]
        name = "scratch"
        init = "scratch"
        [[arm]]
        name = "text"
        """
    )
    return path


Calling = Callable[..., tuple[int, dict[str, Any], str]]


def test_run_and_status_tell_the_same_story(
    call: Calling, study_file: Path, tmp_path: Path, stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, plan, _ = call("run", study_file, "--dry-run")
    assert code == 0
    assert plan["workspace"] == str(tmp_path / "mine-work")
    assert not any(row["done_before"] for row in plan["jobs"])
    assert not (tmp_path / "mine-work").exists()
    (tmp_path / "mine-work").mkdir()
    Workspace("mine-work", create=True)
    (tmp_path / "mine-work" / "fail-evaluate").touch()
    code, failure, _ = call("run", study_file)
    assert (code, failure["error"]) == (2, "the disk was pulled out")
    assert call("status", "mine-work")[1]["left"] == ["evaluate", "report"]
    assert [row["job"] for row in call("run", study_file, "--dry-run")[1]["jobs"] if not row["done_before"]] == [
        "evaluate",
        "report",
    ]
    (tmp_path / "mine-work" / "fail-evaluate").unlink()
    code, result, told = call("run", study_file)
    assert code == 0
    assert set(result) == {"workspace", "stages", "page", "scores"}
    assert "evaluate: done in" in told
    assert "prepare: complete already" in told
    assert call("status", "mine-work")[1]["left"] == []


def test_settings_of_a_study_come_from_set_config_and_device(
    call: Calling, study_file: Path, tmp_path: Path, stand_in: ModuleType
) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[pretrain]\nsteps = 4\n[study]\nseeds = [7]\n")
    words = ["run", study_file, "--work", tmp_path / "w", "--config", other, "--set", "pretrain.seed=1"]
    assert call(*words)[1]["error"] == "pretrain.seed is set by the study itself"
    words = [*words[:-1], "embed.width=8", "--device", "cuda:0"]
    assert call(*words)[0] == 0
    stored = json.loads((tmp_path / "w" / "study.json").read_text())["document"]
    assert (stored["pretrain"]["steps"], stored["study"]["seeds"], stored["embed"]["width"]) == (4, [7], 8)
    assert (stored["study"]["device"], stored["study"]["name"]) == ("cuda:0", "mine")


def test_demo_runs_the_shipped_study(call: Calling, tmp_path: Path, stand_in: ModuleType) -> None:
    code, result, _ = call("demo", tmp_path / "w", "--quick", "--set", "study.workers=1")
    assert code == 0
    assert [row["stage"] for row in result["stages"]][:2] == ["fetch", "prepare"]
    assert call("demo", tmp_path / "w", "--quick", "--dry-run")[1]["stages"][0]["done_before"] is True


def test_ctrl_c_ends_with_130_and_a_way_to_go_on(study_file: Path, workspace: Workspace, stand_in: ModuleType) -> None:
    (workspace.root / "wait-prepare").touch()
    code = f"""
import sys
sys.path[:] = {sys.path!r}
import stand_in_stage
from med3dinsight import pipeline
pipeline.fetch = pipeline.prepare = stand_in_stage.run
from med3dinsight.cli import main
sys.exit(main(["run", {str(study_file)!r}, "--work", {str(workspace.root)!r}]))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    order = workspace.root / "order"
    while time.monotonic() < end and not (order.exists() and "prepare" in order.read_text()):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=10)
    assert process.returncode == 130
    assert told.splitlines()[-2:] == [
        "error: interrupted",
        "hint: run the same command again; it goes on where it stopped",
    ]
