"""Everything that the stages left in a workspace, as the sections of the page need it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..records import Case
from ..training.run_log import read_log
from ..workspace import Workspace
from ..workspace.files import read_json
from ..workspace.provenance import RECORD, StageRecord, read_record
from ..workspace.voxel_store import read_manifest

STUDY = "study.json"
#: Folders below the workspace in which stages leave their records, the sample data's first.
_FOLDERS = ("sample", "prepared", "captions", "audit", "features", "pretraining", "finetuning", "evaluation")


@dataclass(frozen=True)
class Run:
    """One finished run of pre-training or fine-tuning.

    Attributes:
        name: Name of its folder.
        folder: The folder.
        record: Its stage record.
        facts: ``encoder.json`` or ``model.json``.
        log: Rows of ``log.jsonl``, by ascending step.
    """

    name: str
    folder: Path
    record: StageRecord
    facts: dict[str, Any]
    log: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Inputs:
    """What is known of a workspace. Everything in it may be text of strangers.

    Attributes:
        workspace: The workspace.
        records: ``{folder: record}`` of all finished stages but the report, in the order of the data.
        document: The study's tables, empty where stages were called one by one.
        cases: Prepared cases in the order of the manifest.
        pretraining: Finished pre-training runs, in the order of the study's arms.
        finetuning: Finished runs fine-tuned for segmentation, in the order of the study's arms, then by seed.
        classifying: Finished runs fine-tuned for classification, in the same order.
        scores: ``scores.json`` of the segmentations, or None where none was scored.
        classification: ``classification.json``, or None.
        localization: ``localization.json``, or None.
        probe: ``probe.json``, or None.
    """

    workspace: Workspace
    records: dict[str, StageRecord]
    document: dict[str, Any]
    cases: tuple[Case, ...]
    pretraining: tuple[Run, ...]
    finetuning: tuple[Run, ...]
    classifying: tuple[Run, ...]
    scores: dict[str, Any] | None
    classification: dict[str, Any] | None
    localization: dict[str, Any] | None
    probe: dict[str, Any] | None

    @property
    def fine_tuned(self) -> tuple[Run, ...]:
        """Fine-tuned runs of both tasks."""
        return (*self.finetuning, *self.classifying)

    @property
    def study(self) -> dict[str, Any]:
        """The study's table ``[study]``."""
        return dict(self.document.get("study", {}))

    @property
    def arms(self) -> list[dict[str, Any]]:
        """The study's ``[[arm]]`` tables."""
        return list(self.document.get("arm", []))

    def of_stage(self, stage: str) -> dict[str, StageRecord]:
        """Returns the records of one stage by folder."""
        return {name: record for name, record in self.records.items() if record.stage == stage}


def read_records(workspace: Workspace) -> dict[str, StageRecord]:
    """Reads the records of all finished stages but the report.

    Returns:
        ``{folder below the workspace: record}``, in the order of the data.
    """
    found: dict[str, StageRecord] = {}
    for name in _FOLDERS:
        for path in sorted((workspace.root / name).rglob(RECORD)):
            record = read_record(path.parent)
            if record is not None:
                found[path.parent.relative_to(workspace.root).as_posix()] = record
    return found


def read_study_document(workspace: Workspace) -> dict[str, Any]:
    """Reads the tables of the study that ran in a workspace; empty where none did."""
    path = workspace.root / STUDY
    return dict(read_json(path)["document"]) if path.exists() else {}


def read_inputs(workspace: Workspace) -> Inputs:
    """Reads all that is finished in a workspace.

    Raises:
        WorkspaceError: A file that a finished stage left is missing or damaged.
    """
    records = read_records(workspace)
    document = read_study_document(workspace)
    order = {row.get("name"): place for place, row in enumerate(document.get("arm", []))}

    def place(run: Run) -> tuple[int, str, int]:
        arm = str(run.facts.get("arm", run.name.rpartition("-s")[0]))
        return order.get(arm, -1 if arm == "scratch" else len(order)), arm, int(run.facts.get("seed", 0))

    def evaluation(stage: str, file: str) -> dict[str, Any] | None:
        return read_json(workspace.evaluation / file) if f"evaluation/{stage}" in records else None

    fine_tuned = sorted(_runs(workspace.finetuning, "model.json"), key=place)
    scores = evaluation("segmentation", "scores.json")
    # The file may be about classifications by now, where the runs that were scored before are gone.
    if scores is not None and scores.get("task", "segmentation") != "segmentation":
        scores = None
    return Inputs(
        workspace=workspace,
        records=records,
        document=document,
        cases=tuple(read_manifest(workspace.prepared)),
        pretraining=tuple(sorted(_runs(workspace.pretraining, "encoder.json"), key=place)),
        finetuning=tuple(run for run in fine_tuned if run.facts.get("task") != "classification"),
        classifying=tuple(run for run in fine_tuned if run.facts.get("task") == "classification"),
        scores=scores,
        classification=evaluation("classification", "classification.json"),
        localization=evaluation("localization", "localization.json"),
        probe=evaluation("probe", "probe.json"),
    )


def _runs(folder: Path, facts: str) -> list[Run]:
    runs = []
    for path in sorted(folder.glob(f"*/{RECORD}")):
        record = read_record(path.parent)
        if record is not None:
            log = tuple(read_log(path.parent / "log.jsonl"))
            runs.append(Run(path.parent.name, path.parent, record, read_json(path.parent / facts), log))
    return runs
