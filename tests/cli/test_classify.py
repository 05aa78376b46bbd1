"""The commands of docs/how-to/classify.md run, on a replica of the folder that the text speaks of."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from learned_workspace import make_scan

from med3dinsight.volumes.nifti import write_nifti

from .conftest import Call

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "classify.md").read_text(encoding="utf-8")
#: Only how long it trains is another number here.
SHORT = {"--steps 300": "--steps 3 --device cpu --set finetune.patch_size=16"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_commands_lead_from_a_table_to_scores_and_predictions(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (table,) = blocks("csv")
    Path("labels.csv").write_text(table, encoding="utf-8")
    people = [row["image"] for row in csv.DictReader(table.splitlines())]
    assert len(people) == 6
    for seed, path in enumerate(people):
        write_nifti(Path(path), make_scan(seed, (22, 20, 18))[0], np.diag([2.0, 2.0, 2.0, 1.0]))
    commands = "".join(blocks("bash"))
    for long, short in SHORT.items():
        assert long in commands
        commands = commands.replace(long, short)
    lines = commands.strip().splitlines()
    assert [line.split()[1] for line in lines] == ["prepare", "finetune", "evaluate", "predict", "report"]
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "med3dinsight"
        answer = call(*words)
        assert answer.code == 0, answer.err
    predicted = list(csv.DictReader(Path("predicted.csv").read_text().splitlines()))
    assert list(predicted[0]) == ["image", "probability_AD", "probability_NC", "predicted"]
    assert len(predicted) == 6
    document = json.loads(Path("work/evaluation/classification.json").read_text())
    assert json.loads(Path("work/evaluation/scores.json").read_text()) == document
    assert set(document["arms"]["scratch"]["cases"]) == {"emil-t1", "fred-t1"}
    assert document["arms"]["scratch"]["summary"]["auroc"] in (0.0, 0.5, 1.0)
    assert 'id="classification"' in Path("work/report/index.html").read_text()


def test_settings_that_the_text_names_exist() -> None:
    from med3dinsight.finetuning.config import FinetuneConfig

    named = set(re.findall(r"`finetune\.(\w+)", TEXT)) | set(re.findall(r"finetune\.(\w+)=", TEXT))
    assert named >= {"patch_size", "volume_input", "class_weights", "freeze_encoder", "split_seed", "network"}
    assert named <= set(FinetuneConfig.model_fields)
