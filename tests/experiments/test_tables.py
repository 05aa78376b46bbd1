"""Tables of experiments: pairs by seed and unit, what is undefined, what was not run."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from experiments.cells import Ledger
from experiments.measuring import SCALE, SMOKE
from experiments.tables import DICE, LOCATED, Results, compare, difference_table, differences, verdict, write_csv


def cell(arm: str, seed: int) -> dict[str, Any]:
    return {"experiment": "toy", "arm": arm, "encoder": "conv_tiny", "fold": "chest", "seed": seed}


def row(arm: str, seed: int, error: float, dice: dict[str, float | None]) -> dict[str, Any]:
    names = enumerate(["real", "sim-1", "sim-2"])
    people = {name: {"volume": {"mean_mm": error + number, "crop_recall_at_1": 0.1}} for number, name in names}
    result = {"person": "real", "localization": people, "dice": {"real": {"left-0": dice}}}
    return {"cell": cell(arm, seed), "status": "done", "result": result, "cpu_seconds": 1.0, "wall_seconds": 1.0}


def results(work: Path) -> Results:
    ledger = Ledger(work)
    (work / SCALE).write_text(json.dumps(asdict(SMOKE)))
    ledger.append(row("base", 0, 30.0, {"liver": 0.5, "lung": 0.2}))
    ledger.append(row("base", 1, 40.0, {"liver": 0.5, "lung": None}))
    ledger.append(row("ours", 1, 25.0, {"liver": 0.7, "lung": 0.0}))
    cells = [cell(arm, seed) for arm in ("base", "ours", "later") for seed in (0, 1)]
    return Results(work, cells)


def test_arms_are_paired_by_seed_and_real_people_stay_apart(tmp_path: Path) -> None:
    found = results(tmp_path)
    ours, base = (found.values(LOCATED, False, arm=arm) for arm in ("ours", "base"))
    assert np.array_equal(differences(ours, base), [[-15.0], [-15.0]])
    assert list(found.values(LOCATED, True, arm="ours")[1]) == ["real"]


def test_a_class_that_one_side_rightly_leaves_empty_counts_as_perfect(tmp_path: Path) -> None:
    found = results(tmp_path)
    table = differences(found.values(DICE, True, arm="ours"), found.values(DICE, True, arm="base"))
    assert np.allclose(table, [[(0.2 - 1.0) / 2]])
    assert found.shown(DICE, True, arm="ours") == "0.350"


def test_what_was_not_run_is_said(tmp_path: Path) -> None:
    found = results(tmp_path)
    assert found.shown(LOCATED, True, arm="later") == "not run"
    assert found.shown(LOCATED, True, arm="unheard of") == "–"
    assert found.seeds(arm="ours") == "1/2"
    family = [(LOCATED, False, {"arm": arm}, {"arm": "base"}) for arm in ("ours", "later")]
    shown = difference_table(compare(found, family), ("measure", "arm", "against"))
    assert shown[0][:4] == ["error mm", "ours", "base", "-15.00 [-15.00, +0.00]"]
    assert shown[1][:4] == ["error mm", "later", "base", "not run"]
    path = write_csv(tmp_path / "toy", found)
    states = [line["state"] for line in csv.DictReader(path.read_text().splitlines())]
    assert states == ["done", "done", "not run", "done", "not run", "not run"]
    assert path == tmp_path / "toy.csv", "what is no result does not get into the experiment's folder"


def test_a_difference_is_called_one_where_interval_and_test_both_say_so() -> None:
    assert verdict(0.1, 0.2, 0.01, True) == "better"
    assert verdict(0.1, 0.2, 0.01, False) == "worse"
    assert verdict(0.1, 0.2, 0.2, True) == "no difference seen"
    assert verdict(-0.1, 0.2, 0.01, True) == "no difference seen"
