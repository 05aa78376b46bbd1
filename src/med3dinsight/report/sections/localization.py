"""Slice localisation: the right volume beside the wrong one, shuffled captions, and one kind of feature alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..charts import Chart, Dot, dot_chart
from ..claims import Target, chance, localization_targets
from ..config import ReportConfig
from ..inputs import Inputs
from ..tables import Group, Table
from ..wording import count, interval, listed, number, percent
from .data import people_of

#: Entries of an arm in ``localization.json``: key, name, and whether it is a control.
_PARTS = (
    ("volume", "the right volume", False),
    ("wrong_volume", "wrong volume", True),
    ("shuffled_captions", "shuffled captions", True),
    ("blind_guess", "blind guess", True),
    ("image_only", "image features only", False),
    ("text_only", "text features only", False),
)


@dataclass(frozen=True)
class ArmTargets:
    """An arm and its targets."""

    arm: str
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class LocalizationSection:
    """The table by arm, the charts, the targets, and whom and what it is about."""

    people: str
    slices: str
    match: str
    table: Table
    charts: tuple[Chart, ...]
    targets: tuple[ArmTargets, ...]
    seeds: str
    controls: tuple[str, ...]


def localization_section(inputs: Inputs, config: ReportConfig) -> LocalizationSection | None:
    """Describes localisation; None where it was not asked."""
    arms = inputs.localization
    if not arms:
        return None
    first = next(iter(arms.values()))
    groups = tuple(Group(_title(name, row), tuple(_rows(row))) for name, row in arms.items())
    head = ("Asked of", "Mean error (mm)", "Median (mm)", "Crop R@1", "Chance")
    people = sorted({person for row in arms.values() for person in people_of(row["person"])})
    settings = next((record.config for record in inputs.of_stage("localize").values()), {})
    return LocalizationSection(
        people=listed(people),
        slices=count(round(first["volume"].get("slices", 0)), "slice") if "slices" in first["volume"] else "slices",
        match={"image": "image", "text": "text"}.get(settings.get("match", "both"), "image and text"),
        table=Table("Where does this slice lie? Error of the best position on the true plane", head, groups),
        charts=tuple(chart for name, row in arms.items() for chart in _charts(name, row, config)),
        targets=tuple(ArmTargets(name, tuple(localization_targets(row, config))) for name, row in arms.items()),
        seeds="; ".join(f"{name}: {_seeds(row)}" for name, row in arms.items()),
        controls=tuple(_control_note(name) for name in arms if control_lacks_pictures(inputs, name)),
    )


def control_lacks_pictures(inputs: Inputs, arm: str) -> bool:
    """Whether an arm's runs on shuffled captions matched texts alone while its own runs matched pictures too."""
    settings = next((record.config for record in inputs.of_stage("localize").values()), {})
    match = {run.name: run.facts.get("match") for run in inputs.pretraining}
    own, controls = ({match.get(run) for run in settings.get(side, {}).get(arm, ())} for side in ("arms", "controls"))
    return controls == {"text"} and own != {"text"}


def _control_note(arm: str) -> str:
    return (
        f"The runs on shuffled captions matched texts without pictures, and are asked by text alone; {arm} matched "
        "both. They show what wrong texts teach by themselves, and not how much of the result is owed to the texts: "
        "what compares with them is the row of text features only"
    )


def _title(name: str, row: Mapping[str, Any]) -> str:
    return f"{name} ({count(len(row['seeds']), 'pre-training seed')})"


def _rows(row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for key, name, _ in _PARTS:
        scores = row.get(key)
        if scores is None:
            rows.append((name, number(None), number(None), number(None), number(None)))
            continue
        rows.append(
            (
                name,
                number(scores["mean_mm"], 1),
                number(scores["median_mm"], 1),
                percent(scores["crop_recall_at_1"], 1),
                percent(chance(scores), 1),
            )
        )
    return rows


def _charts(name: str, row: Mapping[str, Any], config: ReportConfig) -> tuple[Chart, Chart]:
    errors = [Dot(label, _value(row, key, "mean_mm"), strong=not control) for key, label, control in _PARTS]
    recalls = [
        Dot(label, _percentage(_value(row, key, "crop_recall_at_1")), strong=not control)
        for key, label, control in _PARTS
    ]
    guess = 100 * chance(row["volume"])
    return (
        dot_chart(
            f"{name}: mean position error",
            f"Mean position error of {name}: " + _words(errors, " mm", 0),
            errors,
            unit="mm, less is better",
            reference=(config.target_error_mm, f"target {config.target_error_mm:g} mm"),
            from_zero=True,
        ),
        dot_chart(
            f"{name}: own crop found first",
            f"Crop R@1 of {name}: " + _words(recalls, " %", 1) + f"; chance {number(guess, 1)} %",
            recalls,
            unit="% of slices, more is better",
            reference=(guess, "chance"),
            from_zero=True,
        ),
    )


def _value(row: Mapping[str, Any], key: str, metric: str) -> float | None:
    scores = row.get(key)
    return None if scores is None else float(scores[metric])


def _percentage(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _words(dots: list[Dot], unit: str, digits: int) -> str:
    return ", ".join(f"{dot.label} {number(dot.value, digits)}{unit}" for dot in dots if dot.value is not None)


def _seeds(row: Mapping[str, Any]) -> str:
    """Says how far the pre-training seeds lie apart, where there are several."""
    values = [scores["mean_mm"] for scores in row.get("by_seed", {}).get("volume", ())]
    if len(values) < 2:
        return "one pre-training seed, so nothing is known of the spread between seeds"
    return f"mean error by seed {interval([min(values), max(values)], 1).replace('+', '')} mm"
