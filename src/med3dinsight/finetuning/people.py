"""Who trains, who validates, who is tested; and the refusal to test on anybody pre-training has seen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import suggest
from ..datasets.leakage import refuse_overlap, warn_of_copies
from ..datasets.splits import SIDES, fold_subjects, given_sides, split_alike, split_subjects
from ..encoders.seen import Seen
from ..errors import ConfigError, LeakageError
from ..records import Case
from ..volumes.labels import annotated_classes
from .config import FinetuneConfig
from .label_table import LabelTable

#: Characters of a hint that lists the labels there are: a table may have hundreds.
_LONGEST_HINT = 300


@dataclass(frozen=True)
class People:
    """Labelled cases of the three sides.

    Attributes:
        train, validation, test: The cases.
        split: Who parted them, in words: as named, the table, the data set, 7:1:2 or a fold.
    """

    train: list[Case]
    validation: list[Case]
    test: list[Case]
    split: str = ""

    def told(self) -> str:
        """Says who parted the people, and how many there are on each side."""
        sides = zip(SIDES, (self.train, self.validation, self.test), strict=True)
        counts = ", ".join(f"{len({case.subject for case in cases})} {side}" for side, cases in sides)
        return f"people parted {self.split}: {counts}"


def choose_people(config: FinetuneConfig, cases: Iterable[Case], table: LabelTable | None = None) -> People:
    """Assigns the labelled cases to the sides.

    With nobody named it is the split of the table, without one that of the data set where it has test people with
    labels, and else 7:1:2 by subject, for classification with like shares of the classes; with test subjects alone all
    others train. With ``folds``, one of them is tested.

    Args:
        config: With the subjects of each side, and the classes of a segmentation.
        cases: All prepared cases. Labelled are those that the table names, and for segmentation those with a label
            map that was drawn for every class.
        table: The labels of a classification; None for segmentation.

    Raises:
        ConfigError: Nobody is labelled for every class, or a named subject is not; training or test would be
            empty; or a class of the table would have nobody in training.
        LeakageError: A subject, or the same voxels under two subjects, is on two sides.

    Warns:
        CopiedScanWarning: Two subjects of one side have the same scan.
    """
    everybody = list(cases)
    labelled = [case for case in everybody if _is_labelled(case, config, table)]
    if not labelled and table is None:
        raise _nobody_labelled(config, everybody)
    sides, split = _sides(config, labelled, table)
    subjects = {case.subject for case in labelled}
    for name in {name for side in sides for name in side} - subjects:
        raise ConfigError(
            f"subject {name} has no case labelled for every class" if table is None else f"subject {name} has no label",
            suggest(name, subjects),
        )
    train, validation, test = ([case for case in labelled if case.subject in side] for side in sides)
    if not train or not test:
        raise ConfigError(
            "fine-tuning needs training and test subjects", "name who is tested, or nobody for a 7:1:2 split"
        )
    _refuse_overlaps(train, validation, test)
    if table is not None:
        for index in sorted(set(range(len(table.classes))) - {table.class_of[case.id] for case in train}):
            raise ConfigError(
                f"no training subject has the class {table.classes[index]}",
                "move people to training, try another finetune.split_seed, or leave the class out of the table",
            )
    return People(train, validation, test, split)


def _is_labelled(case: Case, config: FinetuneConfig, table: LabelTable | None) -> bool:
    if table is not None:
        return case.id in table.class_of
    return case.has_label and all(annotated_classes(case.label_names, class_entries(config)))


def _nobody_labelled(config: FinetuneConfig, cases: list[Case]) -> ConfigError:
    """The error where no label map was drawn for all classes: names the first class that none was drawn for."""
    labels = {name for case in cases if case.has_label for _, name in case.label_names}
    for entry in class_entries(config):
        if not any(case.has_label and all(annotated_classes(case.label_names, [entry])) for case in cases):
            hint = suggest(str(entry["match"][0]), labels) if labels else "no prepared case has named labels"
            shown = hint if len(hint) <= _LONGEST_HINT else f"{hint[:_LONGEST_HINT].rpartition(',')[0]} ..."
            return ConfigError(f"no label map was drawn for the class {entry['name']} = {entry['match']}", shown)
    return ConfigError("no label map was drawn for all of finetune.classes", "leave a class out")


def _sides(
    config: FinetuneConfig, labelled: list[Case], table: LabelTable | None
) -> tuple[Sequence[Collection[str]], str]:
    """Returns the subjects of the three sides, and who parted them, in words."""
    named = (config.train, config.validation, config.test)
    if config.folds:
        return _fold(config, labelled, table), f"into {config.folds} folds, of which number {config.fold} is tested"
    if config.fold:
        raise ConfigError(
            f"finetune.fold = {config.fold} has no effect without folds", "set finetune.folds to their number"
        )
    subjects = {case.subject for case in labelled}
    if table is not None and table.side_of:
        if any(named):
            raise ConfigError(
                "the table has a column split, and subjects are named as well",
                "take the column out of the table, or name nobody; a study names its test_subjects",
            )
        return [{subject for subject, side in table.side_of.items() if side == name} for name in SIDES], "by the table"
    if config.test and not config.train:
        return (subjects - {*config.validation, *config.test}, config.validation, config.test), "as named"
    if any(named):
        return named, "as named"
    if (given := given_sides(labelled)) is not None:
        return given, "by the data set"
    words = f"7:1:2 with seed {config.split_seed}"
    if table is None:
        return split_subjects(subjects, config.split_seed), words
    return split_alike(_classes_of(labelled, table), config.split_seed), words


def _fold(config: FinetuneConfig, labelled: list[Case], table: LabelTable | None) -> Sequence[Collection[str]]:
    """One fold is tested, all others train; nobody validates."""
    if any((config.train, config.validation, config.test)) or (table is not None and table.side_of):
        raise ConfigError(
            "finetune.folds parts the people, and sides are named as well", "name nobody, or leave finetune.folds out"
        )
    if config.fold >= config.folds:
        raise ConfigError(
            f"there is no fold {config.fold} of {config.folds}", f"folds are counted from 0 to {config.folds - 1}"
        )
    kinds = dict.fromkeys((case.subject for case in labelled), ()) if table is None else _classes_of(labelled, table)
    parts = fold_subjects(kinds, config.folds, config.split_seed)
    return (kinds.keys() - parts[config.fold], (), parts[config.fold])


def _classes_of(labelled: list[Case], table: LabelTable) -> dict[str, tuple[int, ...]]:
    classes: dict[str, set[int]] = {}
    for case in labelled:
        classes.setdefault(case.subject, set()).add(table.class_of[case.id])
    return {subject: tuple(sorted(own)) for subject, own in classes.items()}


def class_entries(config: FinetuneConfig) -> list[dict[str, Any]]:
    """Returns the classes as ``[{"name", "match"}]``; a class's index is its place in the list plus 1."""
    return [{"name": name, "match": list(match)} for name, match in config.classes.items()]


def _refuse_overlaps(train: list[Case], validation: list[Case], test: list[Case]) -> None:
    refuse_overlap(train, test, ("train", "test"))
    refuse_overlap(train, validation, ("train", "validation"))
    refuse_overlap(validation, test, ("validation", "test"))
    for cases, side in ((train, "training"), (validation, "validation"), (test, "the test")):
        warn_of_copies(cases, side)


def refuse_seen(seen: Seen, test: Iterable[Case], name: str, cases: Iterable[Case] = ()) -> None:
    """Refuses to test on people whom the initial weights have seen.

    Args:
        seen: Whom they have seen, as far as that is known.
        test: Test cases.
        name: Name of the pre-training run or of the file, for the message.
        cases: All prepared cases: a scan that was seen under another name is looked for among them.

    Raises:
        LeakageError: A test subject, or the scan of a test case under any name, was seen.
    """
    everybody = list(cases)
    for case in test:
        if seen.has_seen(case):
            by_name = case.subject in seen.subjects
            away = f"with pretrain.held_out = [{case.subject!r}]" if by_name else "without the subject of that scan"
            raise LeakageError(
                f"test case {case.id} (subject {case.subject}) was seen in pre-training run {name}: "
                f"{seen.sighting(case, everybody)}",
                f"pre-train again {away}, or test on others",
            )
