"""The refusal to score a model on people that it, or its pre-training, has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import LeakageError
from ..records import Case
from ..workspace import Workspace
from ..workspace.files import read_json
from .finetuned import FinetunedRun

#: What could be checked, for the scores.
CHECKED = "training and pre-training, by subject and by voxels"
UNKNOWN_WEIGHTS = "training only: nothing is known about what the initial weights have seen"


def refuse_leakage(run: FinetunedRun, cases: Mapping[str, Case], workspace: Workspace) -> str:
    """Refuses a run whose test people were seen in training, validation or pre-training.

    Args:
        run: The run.
        cases: All prepared cases by id.
        workspace: Where pre-training runs leave ``encoder.json`` with the subjects and voxel hashes they saw.

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
    facts = _pretraining_facts(run.init, workspace)
    if facts is None:
        return UNKNOWN_WEIGHTS
    _refuse(run, people, test, facts["subjects"], facts["voxel_sha256"], f"pre-training ({run.init})")
    return CHECKED


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
    for folder in (workspace.pretraining / init, Path(init).parent):
        if (folder / "encoder.json").exists():
            return read_json(folder / "encoder.json")
    return None
