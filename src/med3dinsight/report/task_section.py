"""A section on fine-tuning, of whichever task: runs, scores, and every arm against its scratch twin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .charts import Chart, LegendEntry
from .claims import metric_name
from .comparisons import ArmVerdict, comparison_table, difference_charts, verdicts
from .finetuned_runs import loss_chart, runs_table
from .inputs import Run
from .tables import Table
from .wording import listed


@dataclass(frozen=True)
class TaskSection:
    """Tables, charts and verdicts; each part may be empty where it was not run.

    Attributes:
        lead: What stands before the scores.
        runs: Table of the fine-tuned runs.
        loss: Chart of the training loss.
        loss_note: What a reader should know to read it.
        legend: Legend of that chart.
        scores: Table of the scores, or None where nothing was scored.
        comparisons: Table of the paired differences, or None.
        verdicts: What the comparisons allow to say; those that say the same are one.
        p_value: What the test of the comparisons does.
        charts: Differences with their intervals.
        notes: What is to be said beside the numbers.
        definitions: Names and definitions of the metrics.
    """

    lead: str
    runs: Table
    loss: Chart
    loss_note: str
    legend: tuple[LegendEntry, ...]
    scores: Table | None
    comparisons: Table | None
    verdicts: tuple[ArmVerdict, ...]
    p_value: str
    charts: tuple[Chart, ...]
    notes: tuple[str, ...]
    definitions: tuple[tuple[str, str], ...]


def task_section(
    runs: Sequence[Run],
    scores: Mapping[str, Any] | None,
    names: Mapping[str, str],
    *,
    lead: str,
    loss_note: str,
    p_value: str,
    table: Callable[[Mapping[str, Any]], Table],
    notes: Callable[[Mapping[str, Any]], Iterable[str]] = lambda scores: (),
) -> TaskSection | None:
    """Builds the section of one task; None where no model was fine-tuned for it.

    Args:
        runs: The task's fine-tuned runs.
        scores: The task's file of scores, or None where nothing was scored.
        names: ``{metric: name}`` of the task, in the order of the charts.
        lead: What stands before the scores.
        loss_note: What a reader should know to read the training loss.
        p_value: What the test of the comparisons does.
        table: Makes the table of scores.
        notes: What only this task has to say beside its numbers.
    """
    if not runs:
        return None
    known = scores or {}
    comparisons = list(known.get("comparisons", ()))
    chart, entries = loss_chart(runs)
    return TaskSection(
        lead=lead,
        runs=runs_table(runs),
        loss=chart,
        loss_note=loss_note,
        legend=entries,
        scores=table(known) if known else None,
        comparisons=comparison_table(comparisons) if comparisons else None,
        verdicts=verdicts(comparisons),
        p_value=p_value,
        charts=difference_charts(comparisons, names),
        notes=(*notes(known), *_comparability(known)) if known else (),
        definitions=tuple((metric_name(key), text) for key, text in known.get("definitions", {}).items()),
    )


def _comparability(scores: Mapping[str, Any]) -> Iterable[str]:
    """Says what could not be compared, and that nobody tested was seen."""
    for item in scores.get("not_compared", ()):
        against = f" with {item['against']}" if item.get("against") else ""
        metric = f" in {metric_name(item['metric'])}" if item.get("metric") else ""
        yield f"{item['arm']} could not be compared{against}{metric}: {item['reason']}."
    checks: dict[str, list[str]] = {}
    for run, check in scores.get("leakage_checks", {}).items():
        checks.setdefault(check, []).append(run)
    for check, runs in sorted(checks.items()):
        of = f" of {listed(runs)}" if len(checks) > 1 else ""
        yield f"Checked that no test subject{of} was seen in {check}."
