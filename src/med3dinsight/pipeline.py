"""READ FIRST: a whole study, the stages in order, one call each, with what each comes after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .auditing.run import run as audit
from .captions.run import run as caption
from .config import StageConfig
from .datasets.fetching import FetchConfig
from .datasets.fetching import run as fetch
from .evaluation.localization import run_localize
from .evaluation.probe import run_probe
from .evaluation.run import run as evaluate
from .features.run import run as embed
from .finetuning.run import run as finetune
from .jobs import Job, StageFunction, default_workers, run_jobs, sum_up
from .preparing.run import run as prepare
from .pretraining.methods import find_method
from .pretraining.run import run as pretrain
from .report.run import run as report
from .study import Study
from .types import Watcher
from .workspace import Workspace
from .workspace.files import write_json


@dataclass(frozen=True)
class StudyResult:
    """What a study leaves: the workspace, a row a stage, the report page, and the scores if there are any."""

    workspace: str
    stages: list[dict[str, Any]]
    page: str
    scores: str | None


def plan(study: Study, root: Path) -> list[Job]:
    """Returns the study's calls in order; those that do not come after each other run side by side."""
    jobs: list[Job] = []

    def call(stage: str, run: StageFunction, config: StageConfig, after: Iterable[str], of: str = "") -> str:
        jobs.append(Job(f"{stage} {of}".rstrip(), stage, run, config, tuple(after)))
        return jobs[-1].name

    fetched = [call("fetch", fetch, FetchConfig(), [])] if study.uses_sample else []
    last = prepared = call("prepare", prepare, study.prepare_config(root), fetched)
    # Captioners share a ledger, and towers a file of picture features: one after another.
    for name in study.captioners():
        last = call("caption", caption, study.caption_config(name), [last], name)
    captioned = last
    for name in study.matched_captioners():
        last = call("embed", embed, study.embed_config(name), [last], name)
    pretrained = []
    for config in study.pretrain_configs():
        # Methods without 2D features draw the crops of the slice table, which is complete when all is captioned.
        read = f"embed {config.captioner}" if find_method(config.method).features else last
        pretrained.append(call("pretrain", pretrain, config, [read], config.run))
    finetuned = []
    for tuning in study.finetune_configs():
        start = prepared if tuning.init == "scratch" else f"pretrain {tuning.init}"
        finetuned.append(call("finetune", finetune, tuning, [start], tuning.run_name))
    if finetuned:
        call("evaluate", evaluate, study.evaluate_config(), finetuned)
    if "audit" in study.tables:
        for name in study.captioners():
            call("audit", audit, study.build("audit", captioner=name), [captioned], name)
    if "localize" in study.tables:
        call("localize", run_localize, study.localize_config(), pretrained)
    if "probe" in study.tables:
        call("probe", run_probe, study.probe_config(), pretrained)
    call("report", report, study.build("report"), [job.name for job in jobs])
    return jobs


def run_study(study: Study, workspace: Workspace, progress: Watcher | None = None) -> StudyResult:
    """Runs all stages of a study, or what is left of them, and writes the report."""
    with workspace.lock():
        write_json(workspace.root / "study.json", {"folder": str(study.folder), "document": study.document})
        workers = study.config.workers or default_workers(study.config.device)
        outcomes = run_jobs(plan(study, workspace.root), workspace, workers=workers, watcher=progress)
    results = {outcome.job.stage: outcome.result for outcome in outcomes}
    scores = results["evaluate"].scores if "evaluate" in results else None
    return StudyResult(str(workspace.root), sum_up(outcomes), results["report"].page, scores)
