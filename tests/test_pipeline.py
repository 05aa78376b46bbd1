"""The order of a study's calls, going on after errors and kills, and doing nothing the second time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from med3dinsight import pipeline
from med3dinsight.errors import InputError, WorkspaceLockedError
from med3dinsight.study import Study, study_from
from med3dinsight.workspace import Workspace

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


def test_methods_without_texts_wait_for_the_slice_table_alone(tmp_path: Path) -> None:
    arms = [{"name": "text", "captioner": "template"}, {"name": "masked", "method": "mae"}]
    study = study_from({"study": {"data": "scans"}, "arm": [{**arm, "finetune": False} for arm in arms]}, (), tmp_path)
    jobs = {job.name: job for job in pipeline.plan(study, tmp_path)}
    assert "caption tissue" not in jobs
    assert jobs["pretrain masked-s0"].after == ("embed template",)


def test_a_study_audits_its_captions_where_it_asks_for_that(tmp_path: Path) -> None:
    document = {**DOCUMENT, "audit": {"examples": 3}}
    jobs = {job.name: job for job in pipeline.plan(study_from(document, (), Path()), tmp_path)}
    for name in ("tissue", "shuffled"):
        job = jobs[f"audit {name}"]
        assert job.after == ("caption shuffled",)
        assert (job.config.captioner, job.config.examples) == (name, 3)
    assert not [name for name in jobs if name.startswith("embed") and "audit" in "".join(jobs[name].after)]


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
