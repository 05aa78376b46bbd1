"""Fine-tuning: scores a class and arm, and every arm against its scratch twin with what that allows to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import fmean
from typing import Any

from ..claims import METRIC_NAMES
from ..inputs import Inputs
from ..tables import Group, Table
from ..task_section import TaskSection, task_section
from ..wording import count, with_range

_ALL = "mean of the classes"
_TABLE_DIGITS = {"dice": 3, "hd95_mm": 1, "nsd": 3}
Cases = Mapping[str, Mapping[str, Mapping[str, Any]]]


#: What stands under the differences, and what the loss is.
_P_VALUE = (
    "p flips the signs of whole units (people, or pieces of one person) and takes the seeds as fixed; the interval "
    "draws units and seeds anew, so the two may disagree. Pieces of one person are not independent of each other, so "
    "with one person p is smaller than it should be."
)
_LEAD = "Dice and NSD lie between 0 and 1, and more is better; HD95 is in mm, and less is better."


def segmentation_section(inputs: Inputs) -> TaskSection | None:
    """Describes fine-tuning for segmentation; None where no model was."""
    return task_section(
        inputs.finetuning,
        inputs.scores,
        METRIC_NAMES,
        lead=_LEAD if inputs.scores else "",
        loss_note="less is better; it has no unit",
        p_value=_P_VALUE,
        table=_score_table,
        notes=_notes,
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
        cells.append(with_range(_mean(defined), defined, digits))
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
