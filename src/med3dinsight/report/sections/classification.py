"""Classification: scores of each arm over all cases, and every arm against its scratch twin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..claims import CLASSIFICATION_NAMES
from ..inputs import Inputs
from ..tables import Table, plain_table
from ..task_section import TaskSection, task_section
from ..wording import UNDEFINED, listed, number, with_range

_P_VALUE = (
    "p swaps the two arms' predictions of whole units (people, or cases of one person) and takes the seeds as fixed; "
    "the interval draws units and seeds anew, so the two may disagree."
)
#: The row of who sees no scan.
BLIND = "no scan seen, the most frequent class"


def classification_section(inputs: Inputs) -> TaskSection | None:
    """Describes fine-tuning for classification; None where no model was."""
    scores = inputs.classification or {}
    return task_section(
        inputs.classifying,
        scores,
        CLASSIFICATION_NAMES,
        lead=_lead(scores) if scores else "",
        loss_note=_loss_note(inputs),
        p_value=_P_VALUE,
        table=_score_table,
    )


def _cases_by_class(scores: Mapping[str, Any]) -> dict[str, set[str]]:
    """Returns the test cases of each class, over all arms."""
    truth: dict[str, set[str]] = {}
    for arm in scores["arms"].values():
        for case, classes in arm["cases"].items():
            for name, row in classes.items():
                of_class = truth.setdefault(name, set())
                if row["truth"]:
                    of_class.add(case)
    return truth


def _lead(scores: Mapping[str, Any]) -> str:
    cases = listed([f"{name} ({len(found)})" for name, found in _cases_by_class(scores).items()])
    return (
        f"Each network sees a whole volume and gives a probability for each class. Test cases: {cases}. All metrics "
        "lie between 0 and 1, and more is better; the last row is what guessing reaches."
    )


def _loss_note(inputs: Inputs) -> str:
    sizes = {len(run.facts["classes"]) for run in inputs.classifying}
    if len(sizes) != 1:
        return "cross-entropy, in nats"
    classes = sizes.pop()
    return (
        f"cross-entropy, in nats; who gives each of {classes} classes the same probability has {math.log(classes):.2f}"
    )


def _score_table(scores: Mapping[str, Any]) -> Table:
    head = ("Arm", *CLASSIFICATION_NAMES.values(), "Cases", "People")
    rows = [
        (
            name,
            *(_cell(arm["summary"], metric) for metric in CLASSIFICATION_NAMES),
            str(arm["summary"]["n_cases"]),
            str(arm["summary"]["n_subjects"]),
        )
        for name, arm in scores["arms"].items()
    ]
    rows.append(_blind_row(scores))
    caption = "Mean over the seeds; in brackets the least and the greatest seed"
    return plain_table(caption, head, rows, texts=1)


def _blind_row(scores: Mapping[str, Any]) -> tuple[str, ...]:
    """What is reached by always naming the most frequent class of the test cases."""
    sizes = [len(found) for found in _cases_by_class(scores).values() if found]
    total = sum(sizes)
    reached = {
        "auroc": 0.5 if len(sizes) > 1 else None,
        "accuracy": max(sizes) / total if sizes else None,
        "balanced_accuracy": 1 / len(sizes) if sizes else None,
    }
    return (BLIND, *(number(reached[metric], 3) for metric in CLASSIFICATION_NAMES), UNDEFINED, UNDEFINED)


def _cell(summary: Mapping[str, Any], metric: str) -> str:
    defined = [value for value in summary["by_seed"][metric] if value is not None]
    return with_range(summary[metric], defined, 3)
