"""docs/how-to/caption-with-an-api.md: its commands, against a server on loopback; nothing is sent elsewhere."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from learned_workspace import make_scan
from scripted_server import Scripted, ScriptedServer, completion, scripted_server

from .conftest import Call

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "caption-with-an-api.md").read_text(encoding="utf-8")
SAID = {"modality": "CT", "plane": "unknown", "position": "", "anatomy": [], "appearance": "", "caption": "A ball."}


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(part).strip().replace("\\\n", " ") for _, part in found]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """The server of the text; the working folder holds ``scans``, the policy and the prices."""
    monkeypatch.chdir(tmp_path)
    Path("scans/anna").mkdir(parents=True)
    hu, _ = make_scan(0, (40, 38, 30))
    nib.save(nib.Nifti1Image(hu.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), "scans/anna/ct.nii.gz")
    for block in blocks("toml"):
        Path(re.match(r"# (\S+)", block)[1]).write_text(block)  # type: ignore[index]
    with scripted_server(Scripted(body=completion(json.dumps(SAID)))) as running:
        yield running


def test_the_steps_of_the_page_work_on_a_server_of_this_machine(call: Call, server: ScriptedServer) -> None:
    first, second, third = (block.splitlines() for block in blocks("bash")[:3])
    lines = [shlex.split(line.replace("http://127.0.0.1:8000/v1", server.base_url))[1:] for line in first]
    for line in lines[:2]:
        assert call(*line).code == 0
    dry = call(*lines[2], "--json")
    assert (dry.code, dry.json["forecast"]["requests"], server.requests) == (0, 48, [])
    sampled, audited = (shlex.split(line.replace("http://127.0.0.1:8000/v1", server.base_url))[1:] for line in second)
    answer = call(*sampled, "--json")
    assert (answer.code, answer.json["captioned"], len(server.requests)) == (0, 20, 20)
    assert call(*audited).code == 0
    whole = call(*shlex.split(third[0].replace("http://127.0.0.1:8000/v1", server.base_url))[1:], "--json")
    assert (whole.code, whole.json["captioned"], whole.json["captioner"]) == (0, 48, "openai")
    assert len(server.requests) == 20 + whole.json["requests_sent"] <= 48
    bodies = [json.dumps(body, sort_keys=True) for _, _, body in server.requests]
    assert len(set(bodies)) == len(bodies), "slices that look alike at one place are one question"


def test_elsewhere_needs_all_that_the_page_says(
    call: Call, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(*shlex.split(blocks("bash")[0].splitlines()[0])[1:])
    words = shlex.split(blocks("bash")[3].splitlines()[1])[1:]
    dry = [*words, "--dry-run", "--json"]
    uncovered = call(*dry)
    assert uncovered.code == 2 and "policy" in uncovered.json["error"]
    policy = Path("policy.toml").read_text()
    Path("policy.toml").write_text(policy + f'\nfolders = ["{Path("scans").absolute()}"]\n')
    covered = call(*dry)
    assert covered.code == 0, covered.json
    assert covered.json["forecast"]["most_usd"] > 0
    without = [word for word in dry if word != "--allow-remote"]
    assert "is not this machine" in call(*without).json["error"]
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    really = [word for word in words if word != "--dry-run"]
    refused = call(*really, "--json")
    assert refused.code == 2 and "OPENAI_API_KEY" in refused.json["error"]


def test_batches_go_out_and_come_back_as_the_page_says(call: Call, server: ScriptedServer) -> None:
    call(*shlex.split(blocks("bash")[0].splitlines()[0])[1:])
    words = shlex.split(blocks("bash")[4].replace("https://api.example.com/v1", server.base_url))[1:]
    assert call(*words, "--json").json["captioned"] == 0
    folder = Path("work/asked/openai-batch")
    rows = [json.loads(line) for line in (folder / "requests-0001.jsonl").read_text().splitlines()]
    reply = {"status_code": 200, "body": completion(json.dumps(SAID))}
    lines = [json.dumps({"custom_id": row["custom_id"], "response": reply, "error": None}) for row in rows]
    (folder / "answers" / "output.jsonl").write_text("\n".join(lines[:-1]))
    expired = {"custom_id": rows[-1]["custom_id"], "response": None, "error": {"code": "batch_expired"}}
    (folder / "answers" / "errors.jsonl").write_text(json.dumps(expired))
    assert call(*words, "--json").json["left"] == 1
    again = json.loads((folder / "requests-0002.jsonl").read_text())
    assert again["body"] == rows[-1]["body"] and not server.requests
    (folder / "answers" / "second.jsonl").write_text(lines[-1].replace(rows[-1]["custom_id"], again["custom_id"]))
    assert call(*words, "--json").json["captioned"] == 48
    log = [json.loads(line)["event"] for line in Path("work/asked/audit.jsonl").read_text().splitlines()]
    assert (log.count("allowed"), log.count("sent")) == (3, len(rows) + 1)
