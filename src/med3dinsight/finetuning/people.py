"""Who trains, who validates, who is tested; and the refusal to test on anybody pre-training has seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..config import suggest
from ..datasets.splits import split_subjects
from ..errors import ConfigError, LeakageError
from ..records import Case
from ..volumes.labels import annotated_classes
from .config import FinetuneConfig


@dataclass(frozen=True)
class People:
    """Labelled cases of the three sides."""

    train: list[Case]
    validation: list[Case]
    test: list[Case]


def choose_people(config: FinetuneConfig, cases: Iterable[Case]) -> People:
    """Assigns the cases that are labelled for every class to the sides.

    With nobody named they are split 7:1:2 by subject; with test subjects alone all others train.

    Raises:
        ConfigError: A named subject has no labelled case, or training or test would be empty.
        LeakageError: A subject, or the same voxels under two subjects, is on two sides.
    """
    entries = class_entries(config)
    labelled = [case for case in cases if case.has_label and all(annotated_classes(case.label_names, entries))]
    subjects = {case.subject for case in labelled}
    sides = (config.train, config.validation, config.test)
    if not any(sides):
        sides = tuple(tuple(side) for side in split_subjects(subjects, config.split_seed))  # type: ignore[assignment]
    elif config.test and not config.train:
        sides = (tuple(sorted(subjects - {*config.validation, *config.test})), config.validation, config.test)
    for name in {name for side in sides for name in side} - subjects:
        raise ConfigError(f"subject {name} has no case labelled for every class", suggest(name, subjects))
    train, validation, test = ([case for case in labelled if case.subject in side] for side in sides)
    if not train or not test:
        raise ConfigError(
            "fine-tuning needs training and test subjects", "name who is tested, or nobody for a 7:1:2 split"
        )
    for first, second in ((train, test), (train, validation), (validation, test)):
        _refuse_overlap(first, second)
    return People(train, validation, test)


def class_entries(config: FinetuneConfig) -> list[dict[str, Any]]:
    """Returns the classes as ``[{"name", "match"}]``; a class's index is its place in the list plus 1."""
    return [{"name": name, "match": list(match)} for name, match in config.classes.items()]


def _refuse_overlap(first: list[Case], second: list[Case]) -> None:
    for a in first:
        for b in second:
            if a.subject == b.subject:
                raise LeakageError(f"subject {a.subject} is on two sides of the split", "name each subject once")
            if a.voxel_sha256 == b.voxel_sha256:
                raise LeakageError(
                    f"{a.id} ({a.subject}) and {b.id} ({b.subject}) have the same voxels and are on two sides",
                    "leave one of them out",
                )


def refuse_seen(facts: dict[str, Any], test: Iterable[Case], name: str) -> None:
    """Refuses to test on people whom pre-training has seen.

    Args:
        facts: The pre-training run's ``encoder.json``.
        test: Test cases.
        name: Name of the pre-training run, for the message.

    Raises:
        LeakageError: A test subject or the voxels of a test case were seen.
    """
    for case in test:
        if case.subject in facts["subjects"] or case.voxel_sha256 in facts["voxel_sha256"]:
            raise LeakageError(
                f"test case {case.id} (subject {case.subject}) was seen in pre-training run {name}",
                f"pre-train again with pretrain.held_out = [{case.subject!r}], or test on others",
            )
