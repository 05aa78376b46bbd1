"""Verbs that read a whole workspace ask what its study asked."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Call

STUDY = {
    "study": {"test_subjects": ["anna"], "pretraining_seeds": [3]},
    "finetune": {"classes": {"liver": ["liver"]}, "train": ["bert"]},
    "evaluate": {"cases": "slabs"},
    "localize": {"max_crops": 7},
    "arm": [
        {"name": "scratch", "init": "scratch"},
        {"name": "texts"},
        {"name": "wrong", "captioner": "shuffled", "control_of": "texts", "finetune": False},
    ],
}


def settings(call: Call, work: Path, verb: str, *words: str) -> dict[str, object]:
    (work / "study.json").write_text(json.dumps({"folder": str(work), "document": STUDY}))
    answer = call(verb, work, "--dry-run", "--json", *words)
    assert answer.code == 0, answer.err
    found: dict[str, object] = answer.json["settings"]
    return found


def test_the_arms_and_controls_of_the_study_are_localised(call: Call, work: Path, monkeypatch) -> None:
    monkeypatch.setattr("med3dinsight.cli.stages._look", looked)
    found = settings(call, work, "localize")
    assert found["arms"] == {"texts": ["texts-s3"]}
    assert found["controls"] == {"texts": ["wrong-s3"]}
    assert (found["people"], found["max_crops"]) == (["anna"], 7)


def test_what_is_said_goes_before_the_study(call: Call, work: Path, monkeypatch) -> None:
    monkeypatch.setattr("med3dinsight.cli.stages._look", looked)
    assert settings(call, work, "evaluate")["cases"] == "slabs"
    assert settings(call, work, "evaluate", "--set", "evaluate.cases=volume")["cases"] == "volume"


def looked(job, *_):
    """A dry run that asks no stage, since there is nothing in the workspace."""
    from med3dinsight.cli.replies import Reply

    return Reply({"settings": job.config.model_dump(mode="json")}, ())
