"""The registered experiments run from end to end, at the size of a smoke test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from experiments.cells import key_of
from experiments.measuring import Scale, finetuning, pretrained_name, pretraining, run_name
from experiments.plan import POPULATION, arm_of, blocks
from experiments.run import take_over

ROOT = Path(__file__).parents[2]


def test_every_cell_is_registered_once_with_settings_that_exist() -> None:
    cells = [cell for block in blocks().values() for cell in block]
    assert len({key_of(cell) for cell in cells}) == len(cells)
    for cell in cells:
        if cell == POPULATION:
            continue
        arm = arm_of(cell)
        if arm.pretrain is not None:
            assert cell["seed"] == pretraining(cell, Scale()).seed
        if arm.finetune:
            config = finetuning(cell, Scale())
            assert config.init == ("scratch" if arm.pretrain is None else pretrained_name(cell))


def test_a_longer_fine_tuning_takes_over_the_encoder_of_a_cell_of_methods_compared() -> None:
    cells = blocks()
    made = {pretrained_name(cell) for name in ("a1", "a2", "a3", "a4") for cell in cells[name]}
    for cell in [cell for name in ("f1", "f2", "f3", "f4") for cell in cells[name] if cell["arm"] != "scratch"]:
        assert pretrained_name(cell) in made
        assert pretraining(cell, Scale()).run == finetuning(cell, Scale()).init != run_name(cell)
        assert finetuning(cell, Scale()).steps == 600


def test_a_new_folder_begins_with_what_was_recorded_and_makes_its_population_anew(tmp_path: Path) -> None:
    recorded, work = tmp_path / "recorded.jsonl", tmp_path / "work"
    work.mkdir()
    measured = {"experiment": "psat_choices", "arm": "linear-k1", "encoder": "conv_tiny", "fold": "chest", "seed": 0}
    rows = [{"cell": cell, "status": "done", "cpu_seconds": 1.0} for cell in (POPULATION, measured)]
    recorded.write_text("".join(json.dumps(row) + "\n" for row in rows))
    take_over(recorded, work)
    lines = (work / "cells.jsonl").read_text().splitlines()
    assert [json.loads(line)["cell"] for line in lines] == [measured]
    (work / "cells.jsonl").write_text("")
    take_over(recorded, work)
    assert (work / "cells.jsonl").read_text() == "", "a folder that was begun is left alone"


@pytest.mark.slow
@pytest.mark.network
def test_the_smoke_run_fills_the_tables_and_a_second_one_has_nothing_to_do(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", *arguments]
        path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        done = subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
        )
        return done.stdout

    first = run("experiments.run", str(tmp_path), "--smoke")
    assert "methods_compared: 4 done, 0 failed, 0 not run" in first
    second = run("experiments.run", str(tmp_path), "--smoke")
    assert "done: " not in second
    for name in ("methods_compared", "finetuned_longer", "psat_choices", "caption_noise"):
        table = run(f"experiments.{name}.make_table", str(tmp_path))
        assert "not run" in table
        assert (tmp_path / f"{name}.csv").exists()
