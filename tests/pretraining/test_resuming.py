"""Kills, second runs, and what counts as the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from learned_workspace import KilledError, killed_after, pretrain_config, tensors_of

from med3dinsight.alignment.aligned_encoder import load_aligned
from med3dinsight.errors import DivergenceError, WorkspaceError
from med3dinsight.pretraining import loop
from med3dinsight.pretraining.objective import Terms
from med3dinsight.pretraining.run import run
from med3dinsight.pretraining.slice_alignment import SliceAlignment
from med3dinsight.training.run_log import read_log
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import NotDone, look_only, read_record

WEIGHTS = ("encoder.safetensors", "psat.safetensors")


def weights(workspace: Workspace, run_name: str) -> list[dict[str, bytes]]:
    return [tensors_of(workspace.pretraining / run_name / name) for name in WEIGHTS]


def config(**changes: Any) -> Any:
    return pretrain_config(**{"held_out": ("cleo",), **changes})


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the first checkpoint, between two, at one, and after the last step."""
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    settings = {"steps": 5, "checkpoint_every": 2}

    def rows(name: str) -> list[dict[str, Any]]:
        return [{**row, "seconds": 0} for row in read_log(work.pretraining / name / "log.jsonl")]

    undisturbed = run(config(run="undisturbed", **settings), work)
    for step, left in ((1, [1, 2, 3, 4, 5]), (3, [3, 4, 5]), (4, [5]), (5, [])):
        name = f"killed-{step}"
        with pytest.raises(KilledError):
            run(config(run=name, **settings), work, progress=killed_after(step))
        assert read_record(work.pretraining / name) is None
        done: list[int] = []
        resumed = run(config(run=name, **settings), work, progress=lambda n, total, note="", done=done: done.append(n))
        assert done == left
        assert weights(work, name) == weights(work, "undisturbed")
        assert resumed.final_loss == undisturbed.final_loss
        assert rows(name) == rows("undisturbed")


def test_a_kill_while_the_weights_are_written_is_made_good(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run(config(run="undisturbed"), work)
    with monkeypatch.context() as patch:
        patch.setattr(
            "med3dinsight.alignment.aligned_encoder.write_json", lambda *_: (_ for _ in ()).throw(KilledError)
        )
        with pytest.raises(KilledError):
            run(config(run="killed"), work)
    assert read_record(work.pretraining / "killed") is None
    run(config(run="killed"), work)
    assert weights(work, "killed") == weights(work, "undisturbed")
    assert load_aligned(work.pretraining / "killed")[1]["seed"] == 0


def test_a_second_run_finds_all_done_and_takes_no_torch(work: Workspace) -> None:
    first = run(config(), work)
    before = weights(work, "insight")
    code = """
import json, sys
from med3dinsight.pretraining import run
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.workspace import Workspace
result = run(PretrainConfig(**json.loads(sys.argv[2])), Workspace(sys.argv[1]))
print(json.dumps([result.__dict__, "torch" in sys.modules]))
"""
    command = [sys.executable, "-c", code, str(work.root), config().model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result, torch_came = json.loads(done.stdout)
    assert result == {**first.__dict__, "done_before": True}
    assert not torch_came
    assert weights(work, "insight") == before


def test_a_look_says_what_is_left_and_does_no_work(work: Workspace) -> None:
    with look_only(), pytest.raises(NotDone):
        run(config(), work)
    assert not (work.pretraining / "insight").exists()
    run(config(), work)
    with look_only():
        assert run(config(), work).done_before
        with pytest.raises(NotDone):
            run(config(seed=1), work)


def test_other_settings_under_the_same_name_start_anew_and_are_not_complete_before_their_end(work: Workspace) -> None:
    run(config(steps=2), work)
    with pytest.raises(KilledError):
        run(config(steps=3), work, progress=killed_after(1))
    # The log and checkpoint are the new run's now: the old one must not count as complete.
    assert read_record(work.pretraining / "insight") is None
    run(config(run="fresh", steps=3), work)
    assert not run(config(steps=3), work).done_before
    assert weights(work, "insight") == weights(work, "fresh")


def test_a_diverging_run_stops_before_the_weights_are_ruined(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    true_loss, calls = SliceAlignment.loss, 0

    def diverging(*args: Any) -> Terms:
        nonlocal calls
        calls += 1
        terms = true_loss(*args)
        return replace(terms, total=terms.total * (float("inf") if calls == 4 else 1))

    run(config(run="undisturbed", steps=6), work)
    with monkeypatch.context() as patch:
        patch.setattr(SliceAlignment, "loss", diverging)
        with pytest.raises(DivergenceError, match="became inf after 3 steps"):
            run(config(steps=6, checkpoint_every=2), work)
    done: list[int] = []
    run(config(steps=6, checkpoint_every=2), work, progress=lambda n, total, note="": done.append(n))
    assert done == [3, 4, 5, 6]
    assert weights(work, "insight") == weights(work, "undisturbed")


def test_two_processes_never_write_one_run(work: Workspace) -> None:
    with work.lock("pretraining-insight"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("med3dinsight.workspace.workspace.time.monotonic", iter(range(0, 100, 10)).__next__)
        with pytest.raises(WorkspaceError, match="in use by process"):
            run(config(), work)


def test_other_crops_are_another_run_for_methods_that_draw_crops_alone(work: Workspace) -> None:
    settings = {"method": "simmim", "mask_block": 4, "steps": 1, "crop_size": 16, "crops_per_volume": 4}
    run(config(run="masked", **settings), work)
    assert run(config(run="masked", **settings), work).done_before
    (work.captions / "ledger.sqlite").rename(work.captions / "away")
    assert not run(config(run="masked", **settings), work).done_before
