"""The refusal to score a model on people that it, or its pre-training, has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..encoders.file_kinds import SUFFIXES
from ..encoders.seen import facts_of, seen_in
from ..errors import LeakageError
from ..records import Case
from ..workspace import Workspace
from ..workspace.files import read_json
from .finetuned import FinetunedRun

#: What could be checked, for the scores.
CHECKED = "training and in pre-training, by subject and by voxels"
UNKNOWN_WEIGHTS = (
    "training, and in pre-training as far as that is told: nothing tells all whom the initial weights have seen"
)


def refuse_leakage(run: FinetunedRun, cases: Mapping[str, Case], workspace: Workspace) -> str:
    """Refuses a run whose test people were seen in training, validation or pre-training.

    Args:
        run: The run.
        cases: All prepared cases by id.
        workspace: Where pre-training runs leave the subjects and voxel hashes they saw; so do files of weights.

    Returns:
        What was checked, in words.

    Raises:
        LeakageError: A test subject, or the prepared voxels of a test case under any name, were seen.
    """
    test = [cases[name] for name in run.test_cases]
    people = {*run.test, *(case.subject for case in test)}
    learned = {*run.train, *run.validation}
    voxels = {case.voxel_sha256 for case in cases.values() if case.subject in learned} | set(run.train_voxel_sha256)
    _refuse(run, people, test, learned, voxels, "training")
    if run.init == "scratch":
        return CHECKED
    now = seen_in(_pretraining_facts(run.init, workspace))
    # The file may be another one by now, or gone: what it told when the run started from it holds too.
    told = [now] if run.initial_weights is None else [run.initial_weights, now]
    for seen in told:
        _refuse(run, people, test, seen.subjects, seen.voxel_sha256, f"pre-training ({run.init})")
    return CHECKED if told[0].known else UNKNOWN_WEIGHTS


def _refuse(
    run: FinetunedRun, people: set[str], test: list[Case], subjects: Iterable[str], voxels: Iterable[str], where: str
) -> None:
    hint = "train again without the test people (their subjects held out), or test on others"
    if both := sorted(people & set(subjects)):
        raise LeakageError(f"run {run.name}: test subject {both[0]} was seen in {where}", hint)
    hashes = set(voxels)
    for case in test:
        if case.voxel_sha256 in hashes:
            raise LeakageError(
                f"run {run.name}: the voxels of test case {case.id} were seen in {where} under another subject", hint
            )


def _pretraining_facts(init: str, workspace: Workspace) -> dict[str, Any] | None:
    if init.endswith(SUFFIXES):
        return facts_of(Path(init))
    facts = workspace.pretraining / init / "encoder.json"
    return read_json(facts) if facts.exists() else None
