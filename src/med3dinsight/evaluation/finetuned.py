"""The fine-tuned runs of a workspace, as evaluation needs to know them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import suggest
from ..encoders.seen import Seen, seen_in
from ..errors import ConfigError, WorkspaceError
from ..workspace import Workspace
from ..workspace.files import read_json
from ..workspace.provenance import read_record


@dataclass(frozen=True)
class FinetunedRun:
    """A finished fine-tuning run.

    Attributes:
        name: Name of its folder.
        folder: The folder.
        fingerprint: Fingerprint of its stage record.
        task: "segmentation" or "classification".
        arm, seed, init, network: As it was trained; ``init`` is "scratch", a pre-training run, or a file.
        classes: Of a segmentation ``[{"name", "match"}, ...]``; a class's index in a prediction is its place in the
            list plus 1. Of a classification ``[{"name"}, ...]``, and its index the place.
        train, validation, test: Subjects.
        test_cases: Ids of the predicted cases.
        train_voxel_sha256: Hashes of the prepared voxels it was trained on.
        train_content_sha256: First 16 digits of the hashes of the scans' own voxels, where they are known.
        initial_weights: Whom the initial weights had seen, as it was told then; None from scratch, or from a model
            that does not say.
    """

    name: str
    folder: Path
    fingerprint: str
    arm: str
    seed: int
    init: str
    network: str
    classes: tuple[dict[str, Any], ...]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    test_cases: tuple[str, ...]
    train_voxel_sha256: tuple[str, ...]
    task: str = "segmentation"
    initial_weights: Seen | None = None
    train_content_sha256: tuple[str, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their index, without background."""
        return tuple(item["name"] for item in self.classes)

    def prediction(self, case: str) -> Path:
        """Path of the predicted label map of a case."""
        return self.folder / "predictions" / f"{case}.nii.gz"

    @property
    def probabilities(self) -> Path:
        """Path of the class probabilities of all test cases."""
        return self.folder / "predictions.csv"


def read_runs(workspace: Workspace, names: tuple[str, ...], task: str = "auto") -> list[FinetunedRun]:
    """Reads the runs to be scored, in the order of their names.

    Args:
        workspace: With fine-tuned runs.
        names: Runs to take; empty for all that are finished.
        task: "segmentation", "classification", or "auto" for both.

    Raises:
        ConfigError: A named run does not exist or is of another task, or two runs are the same seed of one arm.
        WorkspaceError: A named run is not finished, or there is none.
    """
    known = sorted(path.parent.name for path in workspace.finetuning.glob("*/model.json"))
    if unknown := sorted(set(names) - {path.name for path in workspace.finetuning.glob("*")}):
        raise ConfigError(f"no fine-tuned run called {unknown[0]}", suggest(unknown[0], known))
    runs = []
    for name in sorted(set(names)) or known:
        folder = workspace.finetuning / name
        if names:
            workspace.require(folder, f"finetune --run {name}")
        record = read_record(folder)
        if record is None:
            continue
        facts = read_json(folder / "model.json")
        if task in ("auto", facts["task"]):
            runs.append(_run(folder, record.fingerprint, facts))
        elif names:
            raise ConfigError(f"run {name} is a model for {facts['task']}", f"name runs for {task}, or none for all")
    if not runs:
        kind = "fine-tuned" if task == "auto" else task
        raise WorkspaceError(f"no finished {kind} run in {workspace.root}", "run `med3dinsight finetune` first")
    _refuse_doubles(runs)
    return runs


def has_segmentation(workspace: Workspace) -> bool:
    """Whether a finished run of the workspace segments; ``scores.json`` is about those then."""
    finished = (path for path in workspace.finetuning.glob("*/model.json") if read_record(path.parent) is not None)
    return any(read_json(path)["task"] == "segmentation" for path in finished)


def _run(folder: Path, fingerprint: str, facts: dict[str, Any]) -> FinetunedRun:
    return FinetunedRun(
        name=folder.name,
        folder=folder,
        fingerprint=fingerprint,
        arm=facts["arm"],
        seed=facts["seed"],
        init=facts["init"],
        network=facts["network"],
        classes=tuple(facts["classes"]),
        train=tuple(facts["train"]),
        validation=tuple(facts["validation"]),
        test=tuple(facts["test"]),
        test_cases=tuple(facts["test_cases"]),
        train_voxel_sha256=tuple(facts.get("train_voxel_sha256", ())),
        train_content_sha256=tuple(facts.get("train_content_sha256", ())),
        task=facts["task"],
        initial_weights=seen_in(facts["initial_weights"]) if facts.get("initial_weights") else None,
    )


def _refuse_doubles(runs: list[FinetunedRun]) -> None:
    first: dict[tuple[str, str], FinetunedRun] = {}
    seen: dict[tuple[str, str, int], str] = {}
    for run in runs:
        if (other := seen.setdefault((run.task, run.arm, run.seed), run.name)) != run.name:
            raise ConfigError(
                f"runs {other} and {run.name} are both arm {run.arm}, seed {run.seed}",
                "name the runs to evaluate, or give one of them another arm or seed",
            )
        twin = first.setdefault((run.task, run.arm), run)
        if (run.network, run.class_names) != (twin.network, twin.class_names):
            raise ConfigError(
                f"runs {twin.name} and {run.name} are one arm with different networks or classes",
                "name the runs to evaluate, or give one of them another arm",
            )


def require_cases(runs: Iterable[FinetunedRun], cases: Container[str]) -> None:
    """Checks that what was predicted is still prepared.

    Raises:
        WorkspaceError: A case is gone.
    """
    for run in runs:
        if missing := sorted(name for name in run.test_cases if name not in cases):
            raise WorkspaceError(
                f"run {run.name} predicted case {missing[0]}, which is no longer prepared", "run that `finetune` again"
            )
