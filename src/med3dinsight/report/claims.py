"""What the numbers allow to say: verdicts on comparisons, and targets met or missed by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .config import ReportConfig
from .wording import count, interval, number, p_value, percent, signed

#: Names of the metrics of segmentation and of classification, and digits of a difference in them.
METRIC_NAMES = {"dice": "Dice", "hd95_mm": "HD95 (mm)", "nsd": "NSD"}
CLASSIFICATION_NAMES = {"auroc": "AUROC", "accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy"}
METRIC_DIGITS = {"dice": 3, "hd95_mm": 1, "nsd": 3}
#: Adjusted p-values from here on do not support a gain.
LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """What one comparison allows to say.

    Attributes:
        gain: Whether a gain may be claimed: the interval lies wholly on the better side of 0, and the test that counts
            all comparisons supports it.
        text: The verdict in words, a sentence.
        scope: What the interval is about, a sentence.
    """

    gain: bool
    text: str
    scope: str


@dataclass(frozen=True)
class Target:
    """A target and whether it was met; ``text`` says what, ``verdict`` "met" or by how much it was missed."""

    text: str
    value: str
    met: bool
    verdict: str


def metric_name(metric: str) -> str:
    """Returns a metric's name for people.

    Example:
        >>> metric_name("auroc")
        'AUROC'
    """
    return {**METRIC_NAMES, **CLASSIFICATION_NAMES}.get(metric, metric)


def judge(row: Mapping[str, Any]) -> Verdict:
    """Says what a comparison of ``scores.json`` allows to claim: a gain needs its interval and its adjusted test.

    Args:
        row: The comparison: ``metric``, ``ci95``, ``better``, ``p_adjusted``, ``scope`` and the counts.
    """
    low, high = row["ci95"]
    against = row["against"]
    better_is_less = row.get("better", "lower" if row["metric"] == "hd95_mm" else "higher") == "lower"
    better = (high < 0 if better_is_less else low > 0) and low < high
    adjusted = row.get("p_adjusted")
    supported = adjusted is None or adjusted < LEVEL
    if low <= 0 <= high:
        text = "No gain is claimed: the interval contains 0."
    elif low == high:
        text = "No gain is claimed: all values are equal, so nothing is known of their spread."
    elif not better:
        text = f"Worse than {against}: the whole interval lies on the worse side of 0."
    elif not supported:
        text = (
            "No gain is claimed: the interval lies on the better side of 0, but the test that counts all comparisons "
            f"does not support it (adjusted p = {p_value(adjusted)})."
        )
    else:
        text = f"Better than {against}: the interval excludes 0, and the adjusted test supports it."
    return Verdict(better and supported, text, _scope(row))


def _scope(row: Mapping[str, Any]) -> str:
    seeds = count(row["n_seeds"], "seed")
    if row["scope"] == "within subject":
        cases = count(row["n_cases"], "case") if row.get("n_cases") else "cases"
        return f"One subject was tested: the interval is about {cases} of it and {seeds}, not about other people."
    return f"The interval is about {count(row['n_subjects'], 'test subject')} and {seeds}."


def difference_in_words(row: Mapping[str, Any]) -> str:
    """Returns a comparison's difference with its interval.

    Example:
        >>> difference_in_words({"metric": "dice", "mean_difference": 0.01, "ci95": [-0.02, 0.04]})
        '+0.010 (95 % interval −0.020 to +0.040)'
    """
    digits = METRIC_DIGITS.get(row["metric"], 3)
    return f"{signed(row['mean_difference'], digits)} (95 % interval {interval(row['ci95'], digits)})"


def localization_targets(scores: Mapping[str, Any], config: ReportConfig) -> list[Target]:
    """Measures one arm's localisation by the targets.

    Args:
        scores: The arm's entry in ``localization.json``.
        config: With the targets.
    """
    error, wrong = scores["volume"]["mean_mm"], scores["wrong_volume"]["mean_mm"]
    recall = scores["volume"]["crop_recall_at_1"]
    return [
        _target(
            f"mean error at most {config.target_error_mm:g} mm",
            f"{number(error, 1)} mm",
            error - config.target_error_mm,
            " mm",
        ),
        _target(
            f"at least {config.target_margin_mm:g} mm better than the wrong volume",
            f"{number(wrong - error, 1)} mm" if wrong >= error else f"{number(error - wrong, 1)} mm worse",
            config.target_margin_mm - (wrong - error),
            " mm",
        ),
        _recall_target(recall, chance(scores["volume"]), config.target_recall),
    ]


def _recall_target(recall: float, guessing: float, wanted: float) -> Target:
    text = f"crop R@1 at least {percent(wanted)}"
    if guessing >= wanted:
        return Target(text, percent(recall, 1), False, f"no test: chance is {percent(guessing, 1)}")
    return _target(text, percent(recall, 1), 100 * (wanted - recall), " percentage points")


def _target(text: str, value: str, shortfall: float, unit: str) -> Target:
    if shortfall <= 0:
        return Target(text, value, True, "met")
    amount = number(shortfall, 1) if shortfall >= 0.05 else "less than 0.1"
    return Target(text, value, False, f"missed by {amount}{unit}")


def chance(scores: Mapping[str, Any]) -> float:
    """Returns the crop R@1 that guessing reaches: 1 / gallery."""
    return 1.0 / float(scores["gallery"])
