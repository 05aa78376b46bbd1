"""docs/how-to/caption-with-a-local-model.md: its commands, with a real, tiny vision-language model."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from learned_workspace import make_scan
from tiny_vlm import save_tiny_vlm
from vlm_server import vlm_server

from .conftest import Call

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "caption-with-a-local-model.md").read_text(encoding="utf-8")
#: Two slices a plane, so that the test has six answers to wait for.
FEW = ("--set", "caption.positions_per_plane=2")


def commands(model: str) -> list[list[str]]:
    """The commands of the page that call us, a list of words each."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in textwrap.dedent(block).strip().splitlines()]
    return [shlex.split(line.replace("MODEL", model))[1:] for line in lines]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder; the working folder holds ``scans``."""
    monkeypatch.chdir(tmp_path)
    Path("scans/anna").mkdir(parents=True)
    hu, _ = make_scan(0, (40, 38, 30))
    nib.save(nib.Nifti1Image(hu.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), "scans/anna/ct.nii.gz")
    return save_tiny_vlm(tmp_path / "models" / "tiny-llava", seed=3)


def test_the_steps_of_the_page_work(call: Call, model: Path) -> None:
    answers = []
    for words in commands(str(model)):
        extra = (*FEW, "--device", "cpu") if words[0] == "caption" else ()
        sample = ["4" if word == "20" else word for word in words]
        answer = call(*sample, *extra, "--json")
        assert answer.code == 0, (words, answer.json)
        answers.append((words[0], answer.json))
    sampled, second, whole = (json for verb, json in answers if verb == "caption")
    assert sampled["captioned"] + sampled["quarantined"] == second["captioned"] + second["quarantined"] == 4
    assert (sampled["left"], whole["left"], second["captioner"]) == (2, 0, "second")
    assert whole["captioned"] >= 4
    embedded = answers[-1][1]
    assert embedded["texts"] >= 2
    assert Path("work/audit/local/index.html").exists()


def test_the_same_model_behind_a_server_writes_too(call: Call, model: Path) -> None:
    assert call(*commands(str(model))[0]).code == 0
    with vlm_server(model) as server:
        words = ["caption", "work", "--captioner", "openai", "--model", server.model, "--base-url", server.base_url]
        answer = call(*words, *FEW, "--json")
        assert answer.code == 0
        assert (answer.json["captioned"] + answer.json["quarantined"], answer.json["left"]) == (6, 0)
        sent = server.answers
        again = call(*words, *FEW, "--json")
        assert (again.code, again.json["requests_sent"], server.answers) == (0, 0, sent)
        blind = call(*words[:5], "no-such-model", *words[6:], *FEW, "--json")
        assert blind.code == 2 and "no-such-model" in blind.json["error"]
