"""Arms against their scratch twins: the table of differences, what they allow to say, and their charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .charts import Chart, Dot, dot_chart
from .claims import METRIC_DIGITS, Verdict, judge, metric_name
from .tables import Group, Table
from .wording import interval, listed, p_value, signed


@dataclass(frozen=True)
class ArmVerdict:
    """An arm, the metrics in which the same is said of it, and what that is."""

    arm: str
    metrics: str
    verdict: Verdict


def comparison_table(comparisons: Sequence[Mapping[str, Any]]) -> Table:
    """Returns the differences with their intervals and p-values, a group a pair of arms.

    Args:
        comparisons: As in a file of scores.
    """
    rows: dict[str, list[tuple[str, ...]]] = {}
    for row in comparisons:
        digits = METRIC_DIGITS.get(row["metric"], 3)
        rows.setdefault(f"{row['arm']} − {row['against']}", []).append(
            (
                metric_name(row["metric"]),
                signed(row["mean_difference"], digits),
                interval(row["ci95"], digits),
                p_value(row["p_value"]),
                p_value(row["p_adjusted"]),
                "yes" if judge(row).gain else "no",
            )
        )
    head = ("Metric", "Mean difference", "95 % interval", "p", "p adjusted", "Gain claimed")
    groups = tuple(Group(title, tuple(cells)) for title, cells in rows.items())
    return Table("Paired differences; the same cases and seeds in both arms", head, groups)


def verdicts(comparisons: Sequence[Mapping[str, Any]]) -> tuple[ArmVerdict, ...]:
    """Returns what the comparisons allow to say; those that say the same of one arm are one."""
    metrics: dict[tuple[str, Verdict], list[str]] = {}
    for row in comparisons:
        metrics.setdefault((row["arm"], judge(row)), []).append(metric_name(row["metric"]))
    return tuple(ArmVerdict(arm, listed(names), verdict) for (arm, verdict), names in metrics.items())


def difference_charts(comparisons: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> tuple[Chart, ...]:
    """Returns a chart a metric: the differences of all arms with their intervals.

    Args:
        comparisons: As in a file of scores.
        names: ``{metric: name}``, in the order of the charts.
    """
    drawn: list[Chart] = []
    for metric, name in names.items():
        rows = [row for row in comparisons if row["metric"] == metric]
        if not rows:
            continue
        better = rows[0].get("better", "lower" if metric == "hd95_mm" else "higher")
        dots = [Dot(row["arm"], row["mean_difference"], row["ci95"][0], row["ci95"][1]) for row in rows]
        digits = METRIC_DIGITS.get(metric, 3)
        words = (
            f"{row['arm']} {signed(row['mean_difference'], digits)} ({interval(row['ci95'], digits)})" for row in rows
        )
        chart = dot_chart(
            f"{name} against {rows[0]['against']}",
            f"Difference in {name} with its 95 % interval: " + "; ".join(words),
            dots,
            unit=f"difference; {better} is better",
            reference=(0.0, "no difference"),
        )
        drawn.append(chart)
    return tuple(drawn)
