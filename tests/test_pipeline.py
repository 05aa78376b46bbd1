"""The order of a study's calls, going on after errors and kills, and doing nothing the second time."""

from __future__ import annotations

import importlib
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

from med3dinsight import pipeline
from med3dinsight.cli import main
from med3dinsight.errors import InputError, WorkspaceLockedError
from med3dinsight.study import Study, study_from
from med3dinsight.workspace import Workspace

STAND_IN = """
import os, time
from dataclasses import dataclass
from med3dinsight.errors import InputError
from med3dinsight.workspace.provenance import StageRecord, completed, fingerprint, write_record


@dataclass(frozen=True)
class Result:
    page: str
    scores: str
    done_before: bool = False


def run(config, workspace, *, progress):
    name = "-".join(str(getattr(config, key)) for key in ("run", "captioner") if getattr(config, key, None))
    folder = workspace.root / "stand-in" / f"{config.section}-{name}"
    result = Result(str(workspace.report / "index.html"), str(workspace.evaluation / "scores.json"))
    expected = fingerprint(config.identity())
    if completed(folder, expected) is not None:
        return Result(result.page, result.scores, done_before=True)
    folder.mkdir(parents=True, exist_ok=True)
    if (workspace.root / f"fail-{config.section}").exists():
        raise InputError("the disk was pulled out", "put it back")
    with (workspace.root / "order").open("a") as order:
        order.write(f"{config.section} {name}\\n")
    while (workspace.root / f"wait-{config.section}").exists():
        time.sleep(0.02)
    write_record(folder, StageRecord(config.section, expected, {}, {}, 0.0))
    return result
"""
DOCUMENT: dict[str, Any] = {
    "study": {"data": "sample", "test_subjects": ["t"], "seeds": [0, 1], "device": "cpu", "workers": 2},
    "finetune": {"classes": {"liver": ["liver"], "lung": ["lung_*"]}, "train": ["a"]},
    "localize": {},
    "probe": {},
    "arm": [
        {"name": "scratch", "init": "scratch"},
        {"name": "text"},
        {"name": "shuffled", "captioner": "shuffled", "control_of": "text", "finetune": False},
    ],
}


@pytest.fixture
def study() -> Study:
    """A study with three arms and all stages."""
    return study_from(DOCUMENT, (), Path())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "work", create=True)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Replaces every stage by one that notes its call; workers can import it."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "stand_in_stage.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "stand_in_stage", raising=False)
    module = importlib.import_module("stand_in_stage")
    names = ["fetch", "prepare", "caption", "embed", "pretrain", "finetune", "evaluate", "report"]
    for name in [*names, "run_localize", "run_probe"]:
        monkeypatch.setattr(pipeline, name, module.run)
    return module


def called(workspace: Workspace) -> list[str]:
    """Stages that worked, in order, and forgets them."""
    order = workspace.root / "order"
    lines = order.read_text().splitlines() if order.exists() else []
    order.unlink(missing_ok=True)
    return lines


def test_stages_are_called_once_each_in_the_order_of_the_data(study: Study, tmp_path: Path) -> None:
    jobs = {job.name: job for job in pipeline.plan(study, tmp_path)}
    assert list(dict.fromkeys(job.stage for job in jobs.values())) == [
        "fetch",
        "prepare",
        "caption",
        "embed",
        "pretrain",
        "finetune",
        "evaluate",
        "localize",
        "probe",
        "report",
    ]
    assert jobs["caption shuffled"].after == ("caption tissue",)
    assert jobs["pretrain shuffled-s0"].after == ("embed shuffled",)
    assert jobs["finetune scratch-s1"].after == ("prepare",)
    assert jobs["finetune text-s1"].after == ("pretrain text-s0",)
    assert set(jobs["evaluate"].after) == {name for name in jobs if name.startswith("finetune")}
    assert set(jobs["report"].after) == set(jobs) - {"report"}


def test_a_study_leaves_out_the_stages_that_it_does_not_ask_for(tmp_path: Path) -> None:
    document = {"study": {"data": "scans"}, "arm": [{"name": "text", "finetune": False}]}
    names = [job.name for job in pipeline.plan(study_from(document, (), tmp_path), tmp_path)]
    assert names == ["prepare", "caption tissue", "embed tissue", "pretrain text-s0", "report"]


def test_the_second_run_finds_all_done(study: Study, workspace: Workspace, stand_in: ModuleType) -> None:
    result = pipeline.run_study(study, workspace)
    assert (result.page, result.scores) == (
        str(workspace.report / "index.html"),
        str(workspace.evaluation / "scores.json"),
    )
    assert [row["stage"] for row in result.stages][-1] == "report"
    assert not any(row["done_before"] for row in result.stages)
    order = called(workspace)
    assert len(order) == len(set(order)) == len(pipeline.plan(study, workspace.root))
    again = pipeline.run_study(study, workspace)
    assert all(row["done_before"] for row in again.stages)
    assert called(workspace) == []


def test_only_what_depends_on_a_changed_setting_runs_again(
    study: Study, workspace: Workspace, stand_in: ModuleType
) -> None:
    pipeline.run_study(study, workspace)
    called(workspace)
    pipeline.run_study(study_from(DOCUMENT, ["arm.text.pretrain.steps=5"], Path()), workspace)
    assert called(workspace) == ["pretrain text-s0-tissue"]


def test_after_an_error_the_next_run_goes_on(study: Study, workspace: Workspace, stand_in: ModuleType) -> None:
    (workspace.root / "fail-pretrain").touch()
    with pytest.raises(InputError, match="the disk was pulled out"):
        pipeline.run_study(study, workspace)
    before = called(workspace)
    assert "prepare " in before
    (workspace.root / "fail-pretrain").unlink()
    result = pipeline.run_study(study, workspace)
    assert not set(before) & set(called(workspace))
    done = {row["stage"]: row["done_before"] for row in result.stages}
    assert (done["prepare"], done["pretrain"], done["report"]) == (True, False, False)


PARENT = """
import sys
sys.path[:] = {path!r}
import json
from pathlib import Path
import stand_in_stage
from med3dinsight import pipeline
from med3dinsight.study import study_from
from med3dinsight.workspace import Workspace
for name in ("fetch", "prepare", "caption", "embed", "pretrain", "finetune", "evaluate", "report"):
    setattr(pipeline, name, stand_in_stage.run)
pipeline.run_localize = pipeline.run_probe = stand_in_stage.run
pipeline.run_study(study_from(json.loads({document!r}), (), Path()), Workspace({work!r}))
"""


def test_after_a_kill_the_next_run_goes_on_at_once(study: Study, workspace: Workspace, stand_in: ModuleType) -> None:
    (workspace.root / "wait-embed").touch()
    code = PARENT.format(path=sys.path, document=json.dumps(DOCUMENT), work=str(workspace.root))
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    order = workspace.root / "order"
    end = time.monotonic() + 60
    while time.monotonic() < end and not (order.exists() and "embed" in order.read_text()):
        time.sleep(0.02)
    with pytest.raises(WorkspaceLockedError), workspace.lock(wait_seconds=0.0):
        pass
    parent.kill()
    parent.wait()
    before = called(workspace)
    (workspace.root / "wait-embed").unlink()
    started = time.monotonic()
    result = pipeline.run_study(study, workspace)
    assert time.monotonic() - started < 20
    after = called(workspace)
    assert set(before) & set(after) <= {"embed tissue"}, "only what was in work is done again"
    assert {row["stage"]: row["done_before"] for row in result.stages}["prepare"] is True


def test_nothing_is_fitted_on_test_people(study: Study, tmp_path: Path) -> None:
    for job in pipeline.plan(study, tmp_path):
        if job.stage in ("embed", "pretrain"):
            assert job.config.held_out == ("t",)


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
