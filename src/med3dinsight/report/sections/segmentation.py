"""Fine-tuning: scores a class and arm, and every arm against its scratch twin with what that allows to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ..charts import Chart, LegendEntry
from ..claims import METRIC_NAMES
from ..comparisons import ArmVerdict, comparison_table, difference_charts, verdicts
from ..finetuned_runs import loss_chart, runs_table
from ..inputs import Inputs
from ..tables import Group, Table
from ..wording import count, number

_ALL = "mean of the classes"
_TABLE_DIGITS = {"dice": 3, "hd95_mm": 1, "nsd": 3}
Cases = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class SegmentationSection:
    """Tables, charts and verdicts; each part may be empty where it was not run.

    Attributes:
        runs: Table of the fine-tuned runs.
        loss: Chart of the training loss, and its legend.
        scores: Table by class and arm, or None where nothing was scored.
        comparisons: Table of the paired differences, or None.
        verdicts: What the comparisons allow to say; those that say the same are one.
        charts: Differences with their intervals.
        notes: What is to be said beside the numbers.
        definitions: Names and definitions of the metrics.
    """

    runs: Table
    loss: Chart
    legend: tuple[LegendEntry, ...]
    scores: Table | None
    comparisons: Table | None
    verdicts: tuple[ArmVerdict, ...]
    charts: tuple[Chart, ...]
    notes: tuple[str, ...]
    definitions: tuple[tuple[str, str], ...]


def segmentation_section(inputs: Inputs) -> SegmentationSection | None:
    """Describes fine-tuning for segmentation; None where no model was."""
    if not inputs.finetuning:
        return None
    scores = inputs.scores or {}
    comparisons = list(scores.get("comparisons", ()))
    chart, entries = loss_chart(inputs.finetuning)
    return SegmentationSection(
        runs=runs_table(inputs.finetuning),
        loss=chart,
        legend=entries,
        scores=_score_table(scores) if scores else None,
        comparisons=comparison_table(comparisons) if comparisons else None,
        verdicts=verdicts(comparisons),
        charts=difference_charts(comparisons, METRIC_NAMES),
        notes=tuple(_notes(scores)) if scores else (),
        definitions=tuple((METRIC_NAMES.get(key, key), text) for key, text in scores.get("definitions", {}).items()),
    )


def mean_of_classes(arm: Mapping[str, Any], metric: str) -> float | None:
    """Returns an arm's mean over cases of the mean over classes, as the table's last rows show it.

    Args:
        arm: The arm's entry in ``scores.json``.
        metric: "dice", "hd95_mm" or "nsd".
    """
    return _mean(_of_all(case, metric, None) for case in arm["cases"].values())


def _score_table(scores: Mapping[str, Any]) -> Table:
    arms = scores["arms"]
    names = list(dict.fromkeys(name for arm in arms.values() for case in arm["cases"].values() for name in case))
    groups = [Group(name, tuple(_row(arm, arms[arm], _of_class(name)) for arm in arms)) for name in names]
    if len(names) > 1:
        groups.append(Group(_ALL, tuple(_row(arm, arms[arm], _of_all) for arm in arms)))
    head = ("Arm", *(METRIC_NAMES[metric] for metric in METRIC_NAMES), "Cases")
    return Table(
        "Mean of the seeds' means over cases; in brackets the least and the greatest seed, over what is defined in it",
        head,
        tuple(groups),
    )


#: Takes a case's classes, a metric and a seed's place (None = the mean over seeds) to a value.
Reader = Callable[[Mapping[str, Any], str, int | None], float | None]


def _value(row: Mapping[str, Any], metric: str, seed: int | None) -> float | None:
    if seed is None:
        return row.get(metric)
    values = row.get("by_seed", {}).get(metric, ())
    return values[seed] if seed < len(values) else None


def _of_class(name: str) -> Reader:
    return lambda classes, metric, seed: _value(classes.get(name, {}), metric, seed)


def _of_all(classes: Mapping[str, Any], metric: str, seed: int | None) -> float | None:
    return _mean(_value(row, metric, seed) for row in classes.values())


def _row(name: str, arm: Mapping[str, Any], read: Reader) -> tuple[str, ...]:
    cases = arm["cases"].values()
    cells = []
    for metric in METRIC_NAMES:
        digits = _TABLE_DIGITS[metric]
        seeds = [_mean(read(case, metric, place) for case in cases) for place in range(len(arm["seed"]))]
        defined = [value for value in seeds if value is not None]
        text = number(_mean(defined), digits)
        if len(defined) > 1:
            # The word joiner keeps a line from breaking after the dash.
            text += f" ({number(min(defined), digits)}–\u2060{number(max(defined), digits)})"
        cells.append(text)
    scored = sum(read(case, "dice", None) is not None for case in cases)
    return (name, *cells, str(scored))


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None


def _notes(scores: Mapping[str, Any]) -> Iterable[str]:
    if scores.get("settings", {}).get("cases") == "slabs":
        thickness = scores["settings"]["slab_mm"]
        yield f"A case is the left or right half of an axial slab, at most {thickness:g} mm thick, of one volume."
    if missing := scores.get("left_out", {}).get("cases", ()):
        yield f"{count(len(missing), 'case')} had nothing to be scored: " + "; ".join(
            f"{item['case']} ({item['reason']})" for item in missing
        )
    if values := scores.get("left_out", {}).get("values", ()):
        reasons: dict[tuple[str, str], int] = {}
        for item in values:
            reasons[item["class"], item["reason"]] = max(item["count"], reasons.get((item["class"], item["reason"]), 0))
        yield "Undefined and left out, at most in any run: " + "; ".join(
            f"{name} in {count(amount, 'case')} ({reason})" for (name, reason), amount in reasons.items()
        )
    for item in scores.get("not_compared", ()):
        against = f" with {item['against']}" if item.get("against") else ""
        metric = f" in {METRIC_NAMES.get(item['metric'], item['metric'])}" if item.get("metric") else ""
        yield f"{item['arm']} could not be compared{against}{metric}: {item['reason']}."
    checks = set(scores.get("leakage_checks", {}).values())
    if checks:
        yield "Checked that no test subject was seen in " + "; ".join(sorted(checks)) + "."
