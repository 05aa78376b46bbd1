"""What was run: arms, stages with their times, and every setting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ...workspace.provenance import StageRecord
from ..inputs import Inputs, Run
from ..tables import Table, plain_table
from ..wording import UNDEFINED, count, duration, plain
from .captions import captioner_in_words

#: What an arm may change of its pre-training without a table of its own.
_OWN = ("captioner", "encoder", "method")
_STAGES = ("fetch", "prepare", "caption", "audit", "embed", "pretrain", "finetune", "evaluate", "localize", "probe")


@dataclass(frozen=True)
class StageSettings:
    """A stage's settings: those that all its calls share, and those in which they differ, as a table."""

    stage: str
    shared: tuple[tuple[str, str], ...]
    different: Table | None


@dataclass(frozen=True)
class StudySection:
    """The arms, the stages and the settings."""

    arms: Table | None
    stages: Table
    settings: tuple[StageSettings, ...]


def study_section(inputs: Inputs) -> StudySection:
    """Describes what was run."""
    by_stage = {stage: inputs.of_stage(stage) for stage in _STAGES}
    ran = {stage: records for stage, records in by_stage.items() if records}
    rows = [
        (
            stage,
            ", ".join(PurePath(folder).name for folder in records) if len(records) > 1 else UNDEFINED,
            str(len(records)),
            duration(sum(record.seconds for record in records.values())),
            duration(max(record.seconds for record in records.values())),
        )
        for stage, records in ran.items()
    ]
    missing = [stage for stage in _STAGES[1:] if stage not in ran]
    rows += [(stage, "not run", "0", UNDEFINED, UNDEFINED) for stage in missing]
    return StudySection(
        arms=_arms(inputs) if inputs.arms else None,
        stages=plain_table(
            "Stages; calls run side by side, so the times of a stage add up to more than the clock showed",
            ("Stage", "Calls", "Number", "Time, summed", "Longest"),
            rows,
            texts=2,
        ),
        settings=tuple(_settings(stage, list(records.values())) for stage, records in ran.items() if stage != "fetch"),
    )


def _arms(inputs: Inputs) -> Table:
    shared = inputs.document.get("pretrain", {})
    seeds = inputs.study.get("seeds", (0,))
    rows = []
    for arm in inputs.arms:
        pretrained = arm.get("init", "pretrain") == "pretrain"
        own = {**shared, **arm.get("pretrain", {}), **{key: arm[key] for key in _OWN if arm.get(key)}}
        run = next((run for run in inputs.pretraining if run.name.rpartition("-s")[0] == arm.get("name")), None)
        role = f"control of {arm['control_of']}" if arm.get("control_of") else ""
        rows.append(
            (
                str(arm.get("name")),
                "pre-trained weights" if pretrained else "random weights (the scratch twin)",
                str(own.get("method", "insight")) if pretrained else UNDEFINED,
                _texts(run, own) if pretrained else UNDEFINED,
                count(len(seeds), "seed") if arm.get("finetune", True) else "no",
                role or UNDEFINED,
                plain(arm.get("pretrain", {})),
            )
        )
    head = ("Arm", "Starts from", "Method", "Texts it was pre-trained to match", "Fine-tuned", "Role", "Own settings")
    return plain_table("Arms: what is compared", head, rows, texts=7)


def _texts(run: Run | None, own: dict[str, Any]) -> str:
    """Says whose texts an arm's pre-training matched; until it has run, what the study wants."""
    if run is None:
        return captioner_in_words(str(own.get("captioner", "tissue")))
    if run.facts.get("captioner") is None or run.facts.get("match") in (None, "image"):
        return "none"
    return captioner_in_words(str(run.facts["captioner"]))


def _settings(stage: str, records: list[StageRecord]) -> StageSettings:
    configs = [record.config for record in records]
    names = list(dict.fromkeys(name for config in configs for name in config))
    same = [name for name in names if all(config.get(name) == configs[0].get(name) for config in configs)]
    varied = [name for name in names if name not in same]
    table = None
    if varied:
        # The name of a run leads its row.
        varied.sort(key=lambda name: name not in ("run", "captioner"))
        rows = [tuple(_shown(config.get(name)) for name in varied) for config in configs]
        table = plain_table(f"{stage}: settings in which the calls differ", varied, rows, texts=len(varied))
    return StageSettings(stage, tuple((name, _shown(configs[0].get(name))) for name in same), table)


def _shown(value: Any) -> str:
    # The folders of a machine are nobody's business: the page may be passed on.
    if isinstance(value, str) and PurePath(value).is_absolute():
        return PurePath(value).name
    return plain(value)
