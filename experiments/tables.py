"""Tables from ``cells.jsonl``: means, paired differences with evaluation's own intervals, and what was not run.

A difference is an arm minus its baseline at the same seed and the same unit. A unit is a half slab of the one real
person (Dice), that person as a whole (probe, localisation), or a SIMULATED person. The scope of the real person is
"within subject": nothing follows about people. Simulated people are never mixed with the real one.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from experiments.cells import Ledger, key_of
from experiments.measuring import SCALE, Scale

from med3dinsight.metrics.statistics import bootstrap_interval, holm, sign_flip_test
from med3dinsight.workspace.files import read_json

Row = dict[str, Any]
NOT_RUN, FAILED = "not run", "failed"
#: ``{unit: {class: value or None}}`` of one cell; measures without classes have one, called "".
Units = dict[str, dict[str, float | None]]


#: A difference is called one below this adjusted p-value, if its interval excludes 0 as well.
LEVEL = 0.05


@dataclass(frozen=True)
class Measure:
    """A number that cells have.

    Attributes:
        name: What it is called.
        units: ``(result, real) -> {unit: value}`` of the real or of the simulated people; empty where it has none.
        higher_is_better: Its direction.
        digits: Digits that are shown.
    """

    name: str
    units: Callable[[Row, bool], Units]
    higher_is_better: bool
    digits: int


def _people(result: Row, part: str, real: bool) -> Iterable[tuple[str, Any]]:
    scores = result.get(part, {})
    return ((name, value) for name, value in scores.items() if (name == result["person"]) == real)


def _dice(result: Row, real: bool) -> Units:
    units: Units = {}
    for name, pieces in _people(result, "dice", real):
        for piece, classes in pieces.items():
            units[f"{name}/{piece}"] = classes
    return units


def _probe(result: Row, real: bool) -> Units:
    return {name: {"": value["mean"]} for name, value in _people(result, "probe", real)}


def _localized(part: str, key: str) -> Callable[[Row, bool], Units]:
    def units(result: Row, real: bool) -> Units:
        people = _people(result, "localization", real)
        return {name: {"": value[part][key]} for name, value in people if part in value}

    return units


DICE = Measure("Dice", _dice, True, 3)
PROBE = Measure("probe AUC", _probe, True, 3)
LOCATED = Measure("error mm", _localized("volume", "mean_mm"), False, 1)
BY_TEXT = Measure("error by text mm", _localized("text_only", "mean_mm"), False, 1)
WRONG = Measure("wrong volume mm", _localized("wrong_volume", "mean_mm"), True, 1)
RECALL = Measure("crop R@1", _localized("volume", "crop_recall_at_1"), True, 3)
MEASURES = (DICE, PROBE, LOCATED, BY_TEXT, WRONG, RECALL)


class Results:
    """The rows of a work folder, by cell.

    Args:
        work: Folder of ``cells.jsonl``.
        cells: All that were registered, run or not.
    """

    def __init__(self, work: Path, cells: Sequence[dict[str, Any]]) -> None:
        self.work = work
        self.latest = Ledger(work).latest()
        self.cells = list(cells)

    def of(self, **names: Any) -> list[dict[str, Any]]:
        """Registered cells with these names."""
        return [cell for cell in self.cells if all(cell.get(name) == value for name, value in names.items())]

    def state(self, cell: dict[str, Any]) -> str:
        """done, failed or not run."""
        row = self.latest.get(key_of(cell))
        return NOT_RUN if row is None else str(row["status"])

    def values(self, measure: Measure, real: bool, **names: Any) -> dict[int, Units]:
        """``{seed: {unit: value}}`` of the cells that are done and have the measure."""
        found = {}
        for cell in self.of(**names):
            if self.state(cell) == "done":
                units = measure.units(self.latest[key_of(cell)]["result"], real)
                if units:
                    found[int(cell["seed"])] = units
        return found

    def shown(self, measure: Measure, real: bool, **names: Any) -> str:
        """The mean over units, then seeds, with the number of seeds; or why there is none."""
        values = self.values(measure, real, **names)
        if values:
            return f"{fmean(mean_of(units) for units in values.values()):.{measure.digits}f}"
        states = {self.state(cell) for cell in self.of(**names)}
        if not states or "done" in states:  # not registered, or an arm that has no such measure
            return "–"
        return FAILED if states == {FAILED} else NOT_RUN

    def seeds(self, **names: Any) -> str:
        """``done/registered`` seeds."""
        cells = self.of(**names)
        return f"{sum(self.state(cell) == 'done' for cell in cells)}/{len(cells)}"


def mean_of(units: Units) -> float:
    """The mean over units of the mean over the classes that are defined there."""
    defined = [[value for value in classes.values() if value is not None] for classes in units.values()]
    return fmean(fmean(values) for values in defined if values)


def differences(ours: dict[int, Units], theirs: dict[int, Units]) -> np.ndarray | None:
    """Ours minus theirs, ``(units, seeds)``, over the seeds and units of both; None where there are none.

    As in evaluation: a class that is defined on one side only counts as perfect on the other, which rightly predicted
    none of it; a unit that is undefined at some seed is left out.
    """
    seeds = sorted(ours.keys() & theirs.keys())
    units = sorted(set.intersection(*(ours[seed].keys() & theirs[seed].keys() for seed in seeds))) if seeds else []
    rows = [[_difference(ours[seed][unit], theirs[seed][unit]) for seed in seeds] for unit in units]
    defined = [row for row in rows if None not in row]
    return np.array(defined, dtype=float) if defined else None


def _difference(ours: dict[str, float | None], theirs: dict[str, float | None]) -> float | None:
    pairs = [(ours[name], theirs[name]) for name in ours if ours[name] is not None or theirs[name] is not None]
    if not pairs:
        return None
    return fmean((1.0 if mine is None else mine) - (1.0 if other is None else other) for mine, other in pairs)


def compare(results: Results, family: Sequence[tuple[Measure, bool, dict[str, Any], dict[str, Any]]]) -> list[Row]:
    """Compares arms with their baselines; p-values adjusted by Holm over the family.

    Args:
        results: The cells.
        family: ``(measure, real, names of the arm, names of the baseline)`` of each question.
    """
    rows: list[Row] = []
    for measure, real, arm, base in family:
        table = differences(results.values(measure, real, **arm), results.values(measure, real, **base))
        row: Row = {**arm, "against": base["arm"], "measure": measure.name}
        row |= {"population": "real, within subject" if real else "SIMULATED"}
        if table is None:
            rows.append({**row, "state": NOT_RUN})
            continue
        interval, test = bootstrap_interval(table), sign_flip_test(table)
        row |= {"state": "done", "difference": float(table.mean()), "low": interval.low, "high": interval.high}
        row |= {"better": "", "digits": measure.digits, "higher_is_better": measure.higher_is_better}
        rows.append({**row, "p": test.p_value, "units": table.shape[0], "seeds": table.shape[1]})
    done = [row for row in rows if row["state"] == "done"]
    for row, adjusted in zip(done, holm([row["p"] for row in done]), strict=True):
        row["p_adjusted"] = adjusted
        row["better"] = verdict(row["low"], row["high"], adjusted, row["higher_is_better"])
    return rows


def verdict(low: float, high: float, p_adjusted: float, higher_is_better: bool) -> str:
    """What a difference may be called: interval and adjusted test must both say it."""
    if low <= 0 <= high or p_adjusted >= LEVEL:
        return "no difference seen"
    return "better" if (low > 0) == higher_is_better else "worse"


def difference_table(rows: Sequence[Row], names: Sequence[str]) -> list[list[str]]:
    """Rows for :func:`markdown`; a comparison that was not run says so."""
    shown = []
    for row in rows:
        cells = [str(row[name]) for name in names]
        if row["state"] != "done":
            shown.append([*cells, row["state"], "", "", ""])
            continue
        digits = row["digits"] + 1
        interval = f"{row['difference']:+.{digits}f} [{row['low']:+.{digits}f}, {row['high']:+.{digits}f}]"
        shown.append([*cells, interval, f"{row['p_adjusted']:.3f}", f"{row['units']} × {row['seeds']}", row["better"]])
    return shown


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def write_csv(folder: Path, results: Results) -> Path:
    """Writes every registered cell with its measures on the real and the simulated people; empty where not run.

    Returns:
        The file: ``expected.csv`` in the experiment's folder, or, where the work folder is not of the registered scale
        and holds no result, in the work folder.
    """
    registered = read_json(results.work / SCALE) == asdict(Scale())
    path = folder / "expected.csv" if registered else results.work / f"{folder.name}.csv"
    names = ("experiment", "arm", "encoder", "fold", "seed")
    columns = [f"{measure.name} ({side})" for measure in MEASURES for side in ("real", "simulated")]
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow([*names, "state", "core_seconds", *columns])
        for cell in results.cells:
            row = results.latest.get(key_of(cell))
            values: list[Any] = []
            for measure in MEASURES:
                for real in (True, False):
                    done = row is not None and row["status"] == "done"
                    units = measure.units(row["result"], real) if row is not None and done else {}
                    values.append(round(mean_of(units), 4) if units else "")
            cost = "" if row is None else row["cpu_seconds"]
            writer.writerow([*(cell[name] for name in names), results.state(cell), cost, *values])
    return path


def by_seed(results: Results, measure: Measure, real: bool, **names: Any) -> list[float]:
    """The seeds' means."""
    return [mean_of(units) for _, units in sorted(results.values(measure, real, **names).items())]


def spread(values: Sequence[float], digits: int) -> str:
    """Mean with the lowest and the highest."""
    return f"{fmean(values):.{digits}f} ({min(values):.{digits}f} – {max(values):.{digits}f})" if values else NOT_RUN
