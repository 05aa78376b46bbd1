"""Exit codes, error lines, and how little is imported to say that an option is wrong."""

from __future__ import annotations

import errno
import importlib
import inspect
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from med3dinsight import __version__
from med3dinsight.cli.app import VERBS
from med3dinsight.errors import DiskFullError, InputError, Med3DInsightError

from .conftest import Call

COMMON = {"config", "overrides", "json", "dry_run", "device", "engine"}
NOT_BUILT = ["doctor", "retrieve", "export"]
BUILT = [name for name in VERBS if name not in NOT_BUILT]


def raise_in(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Makes ``encoders`` fail."""

    def fail() -> None:
        raise error

    monkeypatch.setattr("med3dinsight.encoders.list_encoders", fail)


def test_version(call: Call) -> None:
    answer = call("--version")
    assert (answer.code, answer.out) == (0, f"med3dinsight {__version__}\n")


@pytest.mark.parametrize("words", [["--help"], []])
def test_help_lists_every_verb(call: Call, words: list[str]) -> None:
    answer = call(*words)
    assert answer.code == 0
    assert set(VERBS) <= {line.split()[0] for line in answer.out.splitlines() if line.strip()}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(call: Call, verb: str) -> None:
    answer = call(verb, "--help")
    assert answer.code == 0
    assert f"Usage: med3dinsight {verb}" in answer.out


@pytest.mark.parametrize("verb", BUILT)
def test_every_verb_takes_the_common_options_and_few_of_its_own(verb: str) -> None:
    module = importlib.import_module(f"med3dinsight.cli.{VERBS[verb].module}")
    parameters = inspect.signature(getattr(module, VERBS[verb].function)).parameters
    assert {"config", "overrides", "json"} <= set(parameters)
    assert len(set(parameters) - COMMON) <= 9, "8 options and WORK"


@pytest.mark.parametrize("verb", NOT_BUILT)
def test_a_verb_that_is_not_built_says_so_whatever_is_passed(call: Call, verb: str) -> None:
    answer = call(verb, "work", "--to", "onnx", "--json")
    assert answer.code == 2
    assert answer.json["error"] == f"{verb} is not built yet"
    assert answer.json["hint"]


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["prepair"], "no command called prepair", "did you mean prepare?"),
        (["pretrain", "work", "--stepz", "3"], "no such option: --stepz", "did you mean --steps?"),
        (["pretrain", "work", "--stps=3"], "no such option: --stps", "did you mean --steps?"),
        (["prepare"], "missing argument 'WORK'", "see `med3dinsight prepare --help`"),
        (["encoders", "too", "much"], "unexpected extra argument(s) (too much)", "see `med3dinsight encoders --help`"),
        (["pretrain", "work", "--device", "gpu"], "no device called gpu", "give auto, cpu, cuda or cuda:N"),
        (["evaluate", "work", "--engine", "ray"], "--engine ray is not built yet", "leave it out"),
        (["caption", "work", "--model", "m"], "model is read by openai, openai-batch, local, not by", "--captioner"),
        (
            ["caption", "work", "--allow-remote"],
            "allow_remote is read by openai, openai-batch, not by tissue",
            "--captioner",
        ),
        (["finetune", "work", "--task", "classification"], "classification needs a table of labels", "table: class"),
        (["finetune", "work"], "segmentation needs at least one class", "classes: segmentation: class name ="),
        (
            ["finetune", "w", "--task", "classification", "--table", "t", "--set", "finetune.recipe=nnunet"],
            "finetune.recipe = 'nnunet': nnU-Net's recipe is for segmentation",
            "recipe: nnunet",
        ),
        (["pretrain", "work", "--set", "steps=3"], "--set 'steps=3' is not section.key=value", "for example"),
        (["pretrain", "work", "--set", "pretrain.stepz=3"], "unknown setting pretrain.stepz", "did you mean steps?"),
        (["pretrain", "work", "--set", "pretrian.steps=3"], "no settings [pretrian] here", "did you mean pretrain?"),
        (["pretrain", "work", "--set", "embed.width=3"], "no settings [embed] here", "reads [pretrain] only"),
        (["pretrain", "work", "--steps", "0"], "pretrain.steps = 0: Input should be", "steps: optimiser steps"),
        (["encoders", "--set", "a.b=1"], "encoders has no settings", "see `med3dinsight encoders --help`"),
        (["datasets", "chekc", "sample", "x"], "datasets cannot chekc", "did you mean check?"),
        (["datasets", "check"], "needs a name and a folder", "datasets check NAME DIR"),
        (["datasets", "fetch", "brats", "x"], "no data set called brats can be fetched", "fetch sample DIR"),
        (["pretrain", "nowhere"], "nowhere is no workspace", "prepare"),
    ],
)
def test_a_mistake_ends_with_2_one_line_and_a_hint(call: Call, words: list[str], error: str, hint: str) -> None:
    answer = call(*words)
    assert (answer.code, answer.out) == (2, "")
    first, second = answer.err.splitlines()[-2:]
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert hint in second
    as_json = call(*words, "--json")
    assert as_json.code == 2
    assert as_json.json == {"error": first[7:], "hint": second[6:], "exit_code": 2}


def test_an_unknown_choice_names_the_choices(call: Call) -> None:
    answer = call("prepare", "work", "--engine", "rey")
    assert answer.code == 2
    assert "local" in answer.err
    assert "ray" in answer.err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("scan.nii is empty", "copy it again"), 2, "scan.nii is empty"),
        (DiskFullError("no space left", "free some"), 2, "no space left"),
        (Med3DInsightError("it broke"), 1, "it broke"),
        (KeyError("name"), 1, "KeyError: 'name'"),
        (OSError(errno.ENOSPC, "No space left on device", "work/voxels.u8"), 2, "no space left on the disk while"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 2, "no space left on the disk"),
        (OSError(errno.EFBIG, "File too large"), 2, "no space left on the disk"),
        (OSError(errno.EIO, "Input/output error"), 1, "OSError"),
        (PermissionError(errno.EACCES, "Permission denied", "work"), 2, "not allowed to use work"),
        (MemoryError(), 2, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_error_has_its_exit_code_one_line_and_a_hint(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    raise_in(monkeypatch, error)
    answer = call("encoders", "--json")
    assert answer.code == code
    assert message in answer.json["error"]
    assert answer.json["hint"]
    assert answer.json["exit_code"] == code
    assert len(answer.err.splitlines()) == 2


def test_a_full_disk_under_the_ledger_is_told_as_one(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise_in(monkeypatch, full)
    assert call("encoders").code == 2
    raise_in(monkeypatch, sqlite3.OperationalError("no such table"))
    assert call("encoders").code == 1


def test_a_bug_shows_its_traceback_only_when_asked(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_in(monkeypatch, ZeroDivisionError("a bug"))
    assert "MED3DINSIGHT_TRACEBACK=1" in call("encoders").err
    assert "Traceback" not in call("encoders").err
    monkeypatch.setenv("MED3DINSIGHT_TRACEBACK", "1")
    assert "Traceback" in call("encoders").err


def test_what_a_library_prints_does_not_get_into_the_json(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy() -> list[dict[str, Any]]:
        print("hello from a library")
        return [{"name": "a", "parameters": None, "tokens": None, "kind": "k", "source": "s"}]

    monkeypatch.setattr("med3dinsight.encoders.list_encoders", noisy)
    answer = call("encoders", "--json")
    assert [row["name"] for row in answer.json["names"]] == ["a"]
    assert "hello" in answer.err


IMPORTS = """
import sys
from med3dinsight.cli import main
code = main(sys.argv[1:])
print(code, *sorted({"torch", "monai", "scipy", "numpy", "rich", "med3dinsight.config"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("words", "code", "settings"),
    [
        (["--help"], 0, False),
        (["pretrain", "--help"], 0, False),
        (["prepair"], 2, False),
        (["pretrain", "work", "--stepz", "3"], 2, False),
        (["pretrain", "work", "--steps", "x"], 2, False),
        (["pretrain", "work", "--set", "pretrain.stepz=3"], 2, True),
        (["run", "nowhere.toml", "--set", "pretrain.stepz=3"], 2, True),
        (["encoders"], 0, True),
        (["networks"], 0, True),
        (["captioners"], 0, True),
        (["towers"], 0, True),
        (["methods"], 0, True),
    ],
)
def test_help_mistakes_and_lists_import_nothing_heavy(words: list[str], code: int, settings: bool) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS, *words], capture_output=True, text=True, check=True)
    printed, *modules = done.stdout.splitlines()[-1].split()
    assert int(printed) == code
    assert set(modules) <= ({"med3dinsight.config"} if settings else set())


def test_the_module_can_be_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "med3dinsight", "status", "nowhere"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert "is no workspace" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_under_standard_output_is_an_error_too() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "med3dinsight", "encoders"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-2:] == [
        "error: no space left on the disk",
        "hint: free some space and run the same command again; it goes on where it stopped",
    ]


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = [sys.executable, "-m", "med3dinsight", "encoders"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (0, "")
