"""Classification: scores of each arm over all cases, and every arm against its scratch twin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..charts import Chart, LegendEntry
from ..claims import CLASSIFICATION_NAMES, metric_name
from ..comparisons import ArmVerdict, comparison_table, difference_charts, verdicts
from ..finetuned_runs import loss_chart, runs_table
from ..inputs import Inputs
from ..tables import Table, plain_table
from ..wording import listed, number


@dataclass(frozen=True)
class ClassificationSection:
    """Tables, charts and verdicts; each part may be empty where it was not run.

    Attributes:
        classes: What was told apart, and how many test cases each class has.
        runs: Table of the fine-tuned runs.
        loss: Chart of the training loss, and its legend.
        scores: Table by arm, or None where nothing was scored.
        comparisons: Table of the paired differences, or None.
        verdicts: What the comparisons allow to say.
        charts: Differences with their intervals.
        notes: What is to be said beside the numbers.
        definitions: Names and definitions of the metrics.
    """

    classes: str
    runs: Table
    loss: Chart
    legend: tuple[LegendEntry, ...]
    scores: Table | None
    comparisons: Table | None
    verdicts: tuple[ArmVerdict, ...]
    charts: tuple[Chart, ...]
    notes: tuple[str, ...]
    definitions: tuple[tuple[str, str], ...]


def classification_section(inputs: Inputs) -> ClassificationSection | None:
    """Describes fine-tuning for classification; None where no model was."""
    if not inputs.classifying:
        return None
    scores = inputs.classification or {}
    comparisons = list(scores.get("comparisons", ()))
    chart, entries = loss_chart(inputs.classifying)
    return ClassificationSection(
        classes=_classes(scores) if scores else "",
        runs=runs_table(inputs.classifying),
        loss=chart,
        legend=entries,
        scores=_score_table(scores["arms"]) if scores else None,
        comparisons=comparison_table(comparisons) if comparisons else None,
        verdicts=verdicts(comparisons),
        charts=difference_charts(comparisons, CLASSIFICATION_NAMES),
        notes=tuple(_notes(scores)),
        definitions=tuple((metric_name(key), text) for key, text in scores.get("definitions", {}).items()),
    )


def _classes(scores: Mapping[str, Any]) -> str:
    """Says how many test cases of each class there are, over all arms."""
    truth: dict[str, dict[str, None]] = {}
    for arm in scores["arms"].values():
        for case, classes in arm["cases"].items():
            for name, row in classes.items():
                of_class = truth.setdefault(name, {})
                if row["truth"]:
                    of_class[case] = None
    return listed([f"{name} ({len(cases)})" for name, cases in truth.items()])


def _score_table(arms: Mapping[str, Mapping[str, Any]]) -> Table:
    head = ("Arm", *CLASSIFICATION_NAMES.values(), "Cases", "People")
    rows = [
        (
            name,
            *(_cell(arm["summary"], metric) for metric in CLASSIFICATION_NAMES),
            str(arm["summary"]["n_cases"]),
            str(arm["summary"]["n_subjects"]),
        )
        for name, arm in arms.items()
    ]
    return plain_table("Mean over the seeds; in brackets the least and the greatest seed", head, rows, texts=1)


def _cell(summary: Mapping[str, Any], metric: str) -> str:
    defined = [value for value in summary["by_seed"][metric] if value is not None]
    text = number(summary[metric], 3)
    # The word joiner keeps a line from breaking after the dash.
    return text + (f" ({number(min(defined), 3)}–\u2060{number(max(defined), 3)})" if len(defined) > 1 else "")


def _notes(scores: Mapping[str, Any]) -> Iterable[str]:
    for item in scores.get("not_compared", ()):
        against = f" with {item['against']}" if item.get("against") else ""
        metric = f" in {metric_name(item['metric'])}" if item.get("metric") else ""
        yield f"{item['arm']} could not be compared{against}{metric}: {item['reason']}."
    if checks := set(scores.get("leakage_checks", {}).values()):
        yield "Checked that no test subject was seen in " + "; ".join(sorted(checks)) + "."
