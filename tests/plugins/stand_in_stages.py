"""Stages that only note that they were called, in place of the true ones."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from med3dinsight import pipeline

STAND_IN = """
import os, time
from dataclasses import dataclass
from med3dinsight.errors import InputError
from med3dinsight.workspace.provenance import StageRecord, completed, fingerprint, write_record


@dataclass(frozen=True)
class Result:
    page: str
    scores: str
    done_before: bool = False


def run(config, workspace, *, progress):
    name = "-".join(str(getattr(config, key)) for key in ("run", "captioner") if getattr(config, key, None))
    folder = workspace.root / "stand-in" / f"{config.section}-{name}"
    result = Result(str(workspace.report / "index.html"), str(workspace.evaluation / "scores.json"))
    expected = fingerprint(config.identity())
    if completed(folder, expected) is not None:
        return Result(result.page, result.scores, done_before=True)
    folder.mkdir(parents=True, exist_ok=True)
    if (workspace.root / f"fail-{config.section}").exists():
        raise InputError("the disk was pulled out", "put it back")
    with (workspace.root / "order").open("a") as order:
        order.write(f"{config.section} {name}\\n")
    while (workspace.root / f"wait-{config.section}").exists():
        time.sleep(0.02)
    write_record(folder, StageRecord(config.section, expected, {}, {}, 0.0))
    return result
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Replaces every stage by one that notes its call; workers can import it."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "stand_in_stage.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "stand_in_stage", raising=False)
    module = importlib.import_module("stand_in_stage")
    names = ["fetch", "prepare", "caption", "embed", "pretrain", "finetune", "evaluate", "report"]
    for name in [*names, "run_localize", "run_probe"]:
        monkeypatch.setattr(pipeline, name, module.run)
    return module
