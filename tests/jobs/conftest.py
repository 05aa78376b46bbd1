"""Stand-in stages in a module that worker processes can import."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from med3dinsight.workspace import Workspace

STAGES = """
import os, signal, sys, time
from dataclasses import dataclass
from med3dinsight.config import StageConfig
from med3dinsight.errors import InputError
from med3dinsight.workspace.provenance import StageRecord, completed, fingerprint, write_record


class Config(StageConfig):
    name: str
    seconds: float = 0.0
    fail: str = ""


@dataclass(frozen=True)
class Result:
    name: str
    process: int
    threads: str
    done_before: bool = False


def run(config, workspace, *, progress):
    folder = workspace.root / config.name
    if completed(folder, fingerprint(config.identity())) is not None:
        return Result(config.name, 0, "", done_before=True)
    folder.mkdir(exist_ok=True)
    (folder / "begun").write_text(str(os.getpid()))
    if config.fail == "input":
        raise InputError("scan.nii is empty", "copy it again")
    if config.fail == "local":
        class Odd(Exception):
            pass
        raise Odd("cannot be pickled")
    if config.fail == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    with workspace.lock(config.name):
        for step in range(10):
            time.sleep(config.seconds / 10)
            progress(step + 1, 10, "step")
    print("noise of a library")
    record = StageRecord("stand-in", fingerprint(config.identity()), config.identity(), {}, 0.0)
    write_record(folder, record)
    return Result(config.name, os.getpid(), os.environ["OMP_NUM_THREADS"])
"""


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module ``stand_in_stages``: ``Config`` and ``run``."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "stand_in_stages.py").write_text(STAGES)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.delitem(__import__("sys").modules, "stand_in_stages", raising=False)
    return importlib.import_module("stand_in_stages")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "work", create=True)
