"""The frozen voxel probe: pre-trained encoders against the range of several random ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..charts import Chart, Dot, dot_chart
from ..inputs import Inputs
from ..tables import Table, plain_table
from ..wording import count, listed, number


@dataclass(frozen=True)
class ProbeSection:
    """The table, the chart, a verdict a run, and whom it is about."""

    table: Table
    chart: Chart
    verdicts: tuple[str, ...]
    train: str
    test: str


def probe_section(inputs: Inputs) -> ProbeSection | None:
    """Describes the probe; None where it was not asked."""
    rows = inputs.probe
    if not rows:
        return None
    classes = list(dict.fromkeys(name for row in rows.values() for name in _aucs(row)))
    baselines = {name: row for name, row in rows.items() if "by_init" in row}
    encoder_of = {run.name: f"random {run.facts['encoder']}" for run in inputs.pretraining}
    table_rows = []
    dots = []
    for name, row in rows.items():
        per_class = _aucs(row)
        table_rows.append((_label(name, row), _mean(row), *(_spread(per_class.get(item, ())) for item in classes)))
        dots.append(Dot(name, row["mean_auc"], row.get("lowest"), row.get("highest"), strong=name not in baselines))
    verdicts = [
        judge_probe(name, row["mean_auc"], baselines[encoder_of[name]])
        for name, row in rows.items()
        if encoder_of.get(name) in baselines
    ]
    settings = next((record.config for record in inputs.of_stage("probe").values()), {})
    caption = "Area under the ROC curve of each class against the others (0.5 is guessing, 1 is perfect)"
    alt = "Mean AUC: " + ", ".join(f"{name} {number(row['mean_auc'], 3)}" for name, row in rows.items())
    return ProbeSection(
        table=plain_table(caption, ("Frozen encoder", "Mean", *classes), table_rows),
        chart=dot_chart("Mean AUC, with the range of the random encoders", alt, dots, unit="AUC, more is better"),
        verdicts=tuple(verdicts),
        train=listed(settings.get("train", ())),
        test=listed(settings.get("test", ())),
    )


def judge_probe(name: str, value: float, baseline: Mapping[str, Any]) -> str:
    """Says where a run's mean AUC lies against the range of the random encoders.

    Example:
        >>> judge_probe("a", 0.8, {"lowest": 0.7, "highest": 0.9, "by_init": [{}, {}]})
        'a: 0.800 lies inside the range of 2 random encoders (0.700 to 0.900): the probe shows no difference.'
    """
    low, high, draws = baseline["lowest"], baseline["highest"], len(baseline["by_init"])
    ends = f"({number(low, 3)} to {number(high, 3)})"
    if low <= value <= high:
        where = f"lies inside the range of {count(draws, 'random encoder')} {ends}: the probe shows no difference"
    else:
        side = "above all" if value > high else "below all"
        where = f"lies {side} of {count(draws, 'random encoder')} {ends}: one run and few draws, so take it as a hint"
    return f"{name}: {number(value, 3)} {where}."


def _label(name: str, row: Mapping[str, Any]) -> str:
    return f"{name}, {count(len(row['by_init']), 'draw')}" if "by_init" in row else name


def _aucs(row: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Returns the values of each class: one for a run, one a draw for random encoders."""
    draws = row.get("by_init", [row])
    names = dict.fromkeys(name for draw in draws for name in draw["auc"])
    return {name: tuple(draw["auc"][name] for draw in draws if name in draw["auc"]) for name in names}


def _mean(row: Mapping[str, Any]) -> str:
    return _spread((row["lowest"], row["highest"])) if "by_init" in row else number(row["mean_auc"], 3)


def _spread(values: tuple[float, ...]) -> str:
    if not values:
        return number(None)
    low, high = number(min(values), 3), number(max(values), 3)
    return low if low == high else f"{low} to {high}"
