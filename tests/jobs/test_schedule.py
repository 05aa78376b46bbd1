"""Order, side-by-side work, resuming and errors of jobs."""

from __future__ import annotations

import subprocess
import time
from types import ModuleType

import pytest

from med3dinsight.errors import InputError, UserError
from med3dinsight.jobs import Job, complete_jobs, default_workers, run_jobs, sum_up
from med3dinsight.types import Watcher
from med3dinsight.workspace import Workspace


class Story(Watcher):
    """Remembers what was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def begin(self, job: str) -> None:
        self.told.append(("begin", job))

    def move(self, job: str, done: int, total: int, note: str) -> None:
        assert (total, note) == (10, "step")
        self.told.append((str(done), job))

    def end(self, job: str, seconds: float, done_before: bool) -> None:
        self.told.append(("before" if done_before else "end", job))


@pytest.fixture
def job(stages: ModuleType):
    """Makes a job of the stand-in stage."""

    def make(name: str, after: tuple[str, ...] = (), stage: str = "stand-in", **settings: object) -> Job:
        return Job(name, stage, stages.run, stages.Config(name=name, **settings), after)

    return make


def test_a_job_starts_when_those_it_comes_after_have_ended(job, workspace: Workspace) -> None:
    story = Story()
    jobs = [job("a", seconds=0.2), job("b", seconds=0.1), job("c", after=("a", "b"))]
    outcomes = run_jobs(jobs, workspace, workers=2, watcher=story)
    assert [outcome.result.name for outcome in outcomes] == ["a", "b", "c"]
    told = story.told
    assert told.index(("begin", "c")) > max(told.index(("end", "a")), told.index(("end", "b")))
    assert told.index(("begin", "b")) < told.index(("end", "a")), "a and b run side by side"
    assert ("10", "a") in told


def test_a_worker_takes_several_jobs_and_keeps_to_one_thread(job, workspace: Workspace) -> None:
    outcomes = run_jobs([job("a"), job("b"), job("c")], workspace, workers=1)
    assert len({outcome.result.process for outcome in outcomes}) == 1
    assert {outcome.result.threads for outcome in outcomes} == {"1"}


def test_jobs_that_become_free_are_taken_in_the_order_of_the_plan(job, workspace: Workspace) -> None:
    story = Story()
    jobs = [job("a"), job("b", after=("a",)), job("c"), job("d")]
    run_jobs(jobs, workspace, workers=1, watcher=story)
    assert [name for word, name in story.told if word == "begin"] == ["a", "b", "c", "d"]


def test_complete_jobs_are_not_run_again_and_start_no_process(
    job, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [job("a"), job("b", after=("a",))]
    run_jobs(jobs, workspace)
    monkeypatch.setattr(subprocess, "Popen", None)
    outcomes = run_jobs(jobs, workspace)
    assert [outcome.done_before for outcome in outcomes] == [True, True]
    assert sum_up(outcomes)[0]["done_before"] is True


def test_only_what_changed_is_run_again(job, workspace: Workspace) -> None:
    run_jobs([job("a"), job("b")], workspace)
    outcomes = run_jobs([job("a"), job("b", seconds=0.01)], workspace)
    assert [outcome.done_before for outcome in outcomes] == [True, False]
    assert sum_up(outcomes)[0]["done_before"] is False


def test_looking_says_what_is_complete_and_does_no_work(job, workspace: Workspace) -> None:
    run_jobs([job("a")], workspace)
    assert complete_jobs([job("a"), job("b"), job("c", after=("b",))], workspace) == {"a"}
    assert not (workspace.root / "b").exists()


def test_an_error_comes_back_as_it_was_raised_and_ends_the_others(job, workspace: Workspace) -> None:
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        run_jobs([job("long", seconds=60.0), job("bad", fail="input")], workspace, workers=2)
    assert (caught.value.message, caught.value.hint) == ("scan.nii is empty", "copy it again")
    assert "in the process of bad" in caught.value.__notes__[0]
    assert time.monotonic() - started < 20
    with workspace.lock("long", wait_seconds=1.0):
        pass


def test_an_error_that_cannot_be_carried_is_named(job, workspace: Workspace) -> None:
    with pytest.raises(RuntimeError, match="Odd: cannot be pickled"):
        run_jobs([job("bad", fail="local")], workspace)


def test_a_process_that_is_killed_is_an_error_with_a_way_out(job, workspace: Workspace) -> None:
    with pytest.raises(UserError, match="bad was killed; the machine may have run out of memory") as caught:
        run_jobs([job("bad", fail="killed")], workspace)
    assert "study.workers=1" in caught.value.hint


def test_a_need_that_no_earlier_job_meets_is_refused(job, workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="job a comes after"):
        run_jobs([job("a", after=("b",)), job("b")], workspace)


def test_seconds_of_a_stage_span_its_jobs(job, workspace: Workspace) -> None:
    jobs = [job("a", seconds=0.2), job("b", seconds=0.2), job("c", stage="last", after=("a", "b"))]
    rows = sum_up(run_jobs(jobs, workspace, workers=1))
    assert [row["stage"] for row in rows] == ["stand-in", "last"]
    assert rows[0]["seconds"] >= 0.4


def test_jobs_share_a_gpu_one_after_another() -> None:
    assert default_workers("cuda:1") == 1
    assert default_workers("cpu") >= 1
