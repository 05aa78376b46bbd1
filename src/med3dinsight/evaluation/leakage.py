"""The refusal to score a model on people that it, or its pre-training, has seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..encoders.file_kinds import SUFFIXES
from ..encoders.seen import Seen, facts_of, seen_in
from ..errors import LeakageError
from ..records import Case
from ..workspace import Workspace
from ..workspace.files import read_json
from .finetuned import FinetunedRun

#: What could be checked, for the scores.
CHECKED = "training and in pre-training, by subject and by prepared voxels"
#: The same where the hash of every scan's own voxels is known.
CHECKED_SCANS = "training and in pre-training, by subject, by prepared voxels and by the scans' own voxels"
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
    names = {*run.train, *run.validation}
    learned = [case for case in cases.values() if case.subject in names]
    recorded = Seen(frozenset(names), frozenset(run.train_voxel_sha256), True, frozenset(run.train_content_sha256))
    training = recorded.and_cases(learned)
    _refuse(run, people, test, training, cases, "training")
    if run.init != "scratch":
        facts = _pretraining_facts(run.init, workspace) or {}
        if labels := facts.get("caption_labels"):
            where = f"the label maps that the texts of pre-training ({run.init}) were made from"
            _refuse(run, people, test, seen_in(labels), cases, where)
    told = [] if run.init == "scratch" else _initial_weights(run, workspace)
    for seen in told:
        _refuse(run, people, test, seen, cases, f"pre-training ({run.init})")
    if told and not told[0].known:
        return UNKNOWN_WEIGHTS
    hashed = all(case.content_sha256 for case in (*test, *learned)) and all(seen.content_sha256 for seen in told[:1])
    return CHECKED_SCANS if hashed else CHECKED


def _initial_weights(run: FinetunedRun, workspace: Workspace) -> list[Seen]:
    """Whom the initial weights have seen: as they told when the run started from them, and as they tell now."""
    now = seen_in(_pretraining_facts(run.init, workspace))
    # The file may be another one by now, or gone: what it told when the run started from it holds too.
    return [now] if run.initial_weights is None else [run.initial_weights, now]


def _refuse(
    run: FinetunedRun, people: set[str], test: list[Case], seen: Seen, cases: Mapping[str, Case], where: str
) -> None:
    hint = "train again without the test people (their subjects held out), or test on others"
    if both := sorted(people & seen.subjects):
        files = ", ".join(case.image for case in cases.values() if case.subject == both[0])
        raise LeakageError(f"run {run.name}: test subject {both[0]} was seen in {where} ({files})", hint)
    for case in test:
        if seen.has_seen(case):
            how = seen.sighting(case, cases.values())
            raise LeakageError(f"run {run.name}: the voxels of test case {case.id} were seen in {where}: {how}", hint)


def _pretraining_facts(init: str, workspace: Workspace) -> dict[str, Any] | None:
    if init.endswith(SUFFIXES):
        return facts_of(Path(init))
    facts = workspace.pretraining / init / "encoder.json"
    return read_json(facts) if facts.exists() else None
