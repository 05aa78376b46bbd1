"""Each verb turns its options into settings, calls its room's ``run``, and prints the keys of the contract."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from med3dinsight.records import LeftOut
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import StageRecord, completed, fingerprint, write_record

from .conftest import Call


@dataclass(frozen=True)
class Stage:
    """A verb, where its function lives, options with the settings they become, and a result with its stable keys."""

    verb: str
    function: str
    options: list[str]
    settings: dict[str, Any]
    result: dict[str, Any]


STAGES = [
    Stage(
        "prepare",
        "preparing.run.run",
        ["--source", "scans", "--layout", "folder", "--protocol", "native"],
        {"source": "scans", "layout": "folder", "protocol": "native"},
        {"prepared": 2, "left_out": (LeftOut("a.nii", "is empty", "copy it"),), "workspace": "w", "seconds": 1.5},
    ),
    Stage(
        "caption",
        "captions.run.run",
        ["--captioner", "template"],
        {"captioner": "template"},
        {"captioned": 3, "quarantined": 0, "requests_sent": 0, "cost_usd": 0.0, "captioner": "template", "unfilled": 0},
    ),
    Stage(
        "embed",
        "features.run.run",
        ["--towers", "minilm-lite", "--captioner", "template", "--tune", "--held-out", "a", "--held-out", "b"],
        {"captioner": "template", "projection": "tuned", "held_out": ("a", "b")},
        {"slices": 3, "texts": 2, "towers": "t", "retrieval_before": 0.1, "retrieval_after": float("nan")},
    ),
    Stage(
        "pretrain",
        "pretraining.run.run",
        ["--encoder", "vit_tiny", "--method", "paper", "--run", "mine", "--steps", "7", "--seed", "3"],
        {"encoder": "vit_tiny", "method": "paper", "run": "mine", "steps": 7, "seed": 3, "held_out": ()},
        {
            "run": "mine",
            "encoder": "vit_tiny",
            "method": "paper",
            "steps": 7,
            "final_loss": 2.5,
            "pairs_per_second": 9.0,
            "checkpoint": Path("c"),
            "collapsed": False,
        },
    ),
    Stage(
        "finetune",
        "finetuning.run.run",
        ["--init", "mine", "--arm", "text", "--test", "a", "--set", 'finetune.classes={liver=["liver"]}'],
        {"init": "mine", "arm": "text", "test": ("a",), "classes": {"liver": ("liver",)}, "task": "segmentation"},
        {"run": "text-s0", "task": "segmentation", "init": "mine", "model": "m", "validation": None},
    ),
    Stage(
        "evaluate",
        "evaluation.run.run",
        ["--run", "a", "--run", "b"],
        {"runs": ("a", "b")},
        {"scores": "scores.json", "comparisons": []},
    ),
    Stage(
        "localize",
        "evaluation.localization.run_localize",
        ["--set", "localize.max_crops=5"],
        {"max_crops": 5},
        {"arms": {"insight": {"mean_mm": 20.0}}},
    ),
    Stage(
        "probe",
        "evaluation.probe.run_probe",
        [
            "--set",
            'probe.classes={liver=["liver"], lung=["lung_*"]}',
            "--set",
            'probe.train=["a"]',
            "--set",
            'probe.test=["b"]',
        ],
        {"train": ("a",), "test": ("b",)},
        {"arms": {"insight-s0": {"mean_auc": 0.7}}},
    ),
    Stage(
        "caption-audit",
        "auditing.run.run",
        ["--captioner", "tissue", "--against", "template"],
        {"captioner": "tissue", "against": "template"},
        {
            "captioner": "tissue",
            "texts": 3,
            "score": 0.5,
            "plane": 1.0,
            "modality": 1.0,
            "side": None,
            "organs": None,
            "audit": "audit.json",
            "page": "index.html",
        },
    ),
    Stage("report", "report.run.run", [], {}, {"page": Path("report/index.html")}),
]


FORECAST: dict[str, Any] = {
    "slices": 48,
    "peak_memory_bytes": 2**20,
    "disk_bytes": {"voxels": 5, "labels": 0},
    "seconds": 1.0,
    "workers": 1,
    "scans": 1,
    "subjects": 1,
    "modalities": {"ct": 1},
    "plan": {},
    "left_out": [],
}


@dataclass
class Calls:
    """Remembers the settings that the stand-in got; the stand-in is complete the second time."""

    stage: Stage
    settings: list[Any]

    def __call__(self, config: Any, workspace: Workspace, *, progress: Any) -> Any:
        expected = fingerprint(config.identity())
        done_before = completed(workspace.root / "stand-in", expected) is not None
        progress(1, 2, "half way")
        self.settings.append(config)
        (workspace.root / "stand-in").mkdir(exist_ok=True)
        write_record(workspace.root / "stand-in", StageRecord("s", expected, {}, {}, 0.0))
        return result_of(self.stage, done_before)


def result_of(stage: Stage, done_before: bool) -> Any:
    """Makes a frozen dataclass with the keys of the stage's result."""
    model = dataclass(frozen=True)(
        type("Result", (), {"__annotations__": dict.fromkeys([*stage.result, "done_before"], Any)})
    )
    return model(**stage.result, done_before=done_before)


def replace(monkeypatch: pytest.MonkeyPatch, function: str, calls: Calls) -> None:
    """Replaces ``room.module.function``; by attribute ``room.run`` would be the function and not ``room/run.py``."""
    module, _, name = function.rpartition(".")
    monkeypatch.setattr(importlib.import_module(f"med3dinsight.{module}"), name, calls)


@pytest.fixture(params=STAGES, ids=lambda stage: stage.verb)
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The stand-in of one stage."""
    calls = Calls(request.param, [])
    replace(monkeypatch, request.param.function, calls)
    for room in ("pretraining", "preparing", "captions"):
        forecast = importlib.import_module(f"med3dinsight.{room}.forecast")
        monkeypatch.setattr(forecast, "forecast", lambda config, workspace: FORECAST)
    return calls


def test_options_become_settings_and_the_result_has_the_keys_of_the_contract(
    call: Call, work: Path, stage: Calls
) -> None:
    answer = call(stage.stage.verb, work, *stage.stage.options, "--json")
    assert answer.code == 0, answer.err
    (settings,) = stage.settings
    assert {name: getattr(settings, name) for name in stage.stage.settings} == stage.stage.settings
    assert set(stage.stage.result) <= set(answer.json)
    assert answer.json["done_before"] is False
    again = call(stage.stage.verb, work, *stage.stage.options)
    assert "nothing was done" in again.out


def test_a_dry_run_shows_the_settings_and_does_nothing(call: Call, work: Path, stage: Calls) -> None:
    answer = call(stage.stage.verb, work, *stage.stage.options, "--dry-run", "--json")
    assert (answer.code, stage.settings) == (0, [])
    assert answer.json["dry_run"] is True
    assert answer.json["done_before"] is False
    assert answer.json["stage"] == stage.stage.verb
    assert ("forecast" in answer.json) == (stage.stage.verb in ("prepare", "caption", "pretrain"))
    assert [path.name for path in work.iterdir()] == ["workspace.json"]
    call(stage.stage.verb, work, *stage.stage.options)
    assert call(stage.stage.verb, work, *stage.stage.options, "--dry-run", "--json").json["done_before"] is True


def test_only_prepare_makes_a_workspace(call: Call, tmp_path: Path, stage: Calls) -> None:
    new = tmp_path / "new"
    answer = call(stage.stage.verb, new, *stage.stage.options, "--dry-run")
    assert not new.exists()
    assert answer.code == (0 if stage.stage.verb == "prepare" else 2)
    assert call(stage.stage.verb, new, *stage.stage.options).code == answer.code
    assert new.exists() == (stage.stage.verb == "prepare")


@pytest.fixture
def pretrain(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The stand-in of pre-training."""
    calls = Calls(next(stage for stage in STAGES if stage.verb == "pretrain"), [])
    replace(monkeypatch, "pretraining.run.run", calls)
    return calls


@pytest.mark.parametrize(
    ("given", "run"),
    [
        (["--method", "mae"], "mae"),
        ([], "insight"),
        (["--method", "mae", "--run", "mine"], "mine"),
        (["--method", "mae", "--set", "pretrain.run=mine"], "mine"),
    ],
)
def test_a_pretraining_run_without_a_name_is_called_after_its_method(
    call: Call, work: Path, pretrain: Calls, given: list[str], run: str
) -> None:
    """Another method must not take the place of an earlier run."""
    call("pretrain", work, *given)
    assert pretrain.settings[0].run == run


def test_a_file_goes_before_defaults_set_before_the_file_and_options_before_all(
    call: Call, work: Path, tmp_path: Path, pretrain: Calls
) -> None:
    file = tmp_path / "study.toml"
    file.write_text('[prepare]\nspacing_mm = 2\n[pretrain]\nsteps = 1\nseed = 1\nbatch_volumes = 5\nrun = "file"\n')
    answer = call(
        "pretrain", work, "--config", file, "--set", "pretrain.steps=2", "--set", "pretrain.run=two", "--run", "three"
    )
    assert answer.code == 0, answer.err
    settings = pretrain.settings[0]
    assert (settings.batch_volumes, settings.steps, settings.run) == (5, 2, "three")


@pytest.mark.parametrize(
    ("content", "error", "hint"),
    [
        ("[pretrian]\n", "unknown table [pretrian]", "did you mean pretrain?"),
        ("[pretrain]\nstepz = 1\n", "unknown setting pretrain.stepz", "did you mean steps?"),
        ("pretrain = 3\n", "pretrain is not a table of settings", "write it as [pretrain]"),
        ("[pretrain\n", "is not valid TOML", "toml.io"),
    ],
)
def test_a_wrong_file_is_a_clear_error(
    call: Call, work: Path, tmp_path: Path, content: str, error: str, hint: str
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(content)
    answer = call("pretrain", work, "--config", file)
    assert answer.code == 2
    assert error in answer.err
    assert hint in answer.err


def test_a_missing_file_is_a_clear_error(call: Call, work: Path) -> None:
    answer = call("pretrain", work, "--config", "nowhere.toml", "--json")
    assert (answer.code, answer.json["error"]) == (2, "no such file: nowhere.toml")


def test_files_that_were_left_out_are_named(call: Call, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(monkeypatch, "preparing.run.run", Calls(STAGES[0], []))
    monkeypatch.setenv("COLUMNS", "120")
    answer = call("prepare", work, "--source", "scans")
    assert "prepared 2 volumes" in answer.out
    assert [line.split() for line in answer.out.splitlines() if "a.nii" in line] == [
        ["a.nii", "is", "empty", "copy", "it"]
    ]
    as_json = call("prepare", work, "--source", "scans", "--json").json
    assert as_json["left_out"] == [{"file": "a.nii", "reason": "is empty", "hint": "copy it"}]


def test_what_is_undefined_is_null(call: Call, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(monkeypatch, "features.run.run", Calls(STAGES[2], []))
    assert call("embed", work, "--json").json["retrieval_after"] is None
