"""A question that waits for the answer to a request file is asked nowhere else, and whoever waits is told."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scripted_server import Scripted, ScriptedServer, completion, scripted_server

from med3dinsight.captions import chatting
from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.forecast import forecast
from med3dinsight.captions.run import CaptionResult, run
from med3dinsight.config import build
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.answer_ledger import ANSWERS, NANO, AnswerLedger

SLICES = 3 * 4
SAID = {"modality": "CT", "plane": "unknown", "position": "", "anatomy": [], "appearance": "", "caption": "Lung."}


@pytest.fixture
def workspace(prepared: Callable[..., Workspace]) -> Workspace:
    voxels: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 255, (16, 16, 16), dtype=np.uint8)
    return prepared({"anna": voxels}, protocol="cube128")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(Scripted(body=completion(json.dumps(SAID)))) as running:
        yield running


def captioned(server: ScriptedServer, workspace: Workspace, captioner: str, **changes: Any) -> CaptionResult:
    return run(config(server, captioner, **changes), workspace)


def config(server: ScriptedServer, captioner: str, **changes: Any) -> CaptionConfig:
    values = {"captioner": captioner, "model": "m", "base_url": server.base_url, "positions_per_plane": 4}
    return build(CaptionConfig, {**values, "picture_size": 64, **changes}, "caption")


def priced(folder: Path) -> Path:
    path = folder / "prices.toml"
    path.write_text("[m]\ninput_usd = 1000.0\noutput_usd = 1000.0\npicture_tokens = 100\n")
    return path


def answer(workspace: Workspace, name: str = "openai-batch") -> None:
    """What a service makes of all request files."""
    folder = workspace.asked / name
    lines = []
    for path in folder.glob("requests-*.jsonl"):
        for line in path.read_text().splitlines():
            response = {"status_code": 200, "request_id": "r", "body": completion(json.dumps(SAID))}
            row = {"id": "b", "custom_id": json.loads(line)["custom_id"], "response": response, "error": None}
            lines.append(json.dumps(row))
    (folder / "answers" / "out.jsonl").write_text("\n".join(lines))


@pytest.mark.parametrize("workers", [1, 2])
def test_what_waits_in_a_file_is_not_asked_by_requests(
    workspace: Workspace, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(chatting, "SHARD_SLICES", 5)
    sampled = captioned(server, workspace, "openai-batch", sample=7)
    assert (sampled.waiting, sampled.waiting_for, sampled.left) == (7, ("openai-batch",), SLICES)
    assert forecast(config(server, "openai"), workspace)["requests"] == SLICES - 7
    result = captioned(server, workspace, "openai", workers=workers)
    assert len(server.requests) == result.requests_sent == result.captioned == SLICES - 7
    assert (result.left, result.stopped, result.waiting, result.waiting_for) == (7, "files", 7, ("openai-batch",))
    answer(workspace)
    assert captioned(server, workspace, "openai-batch").captioned == SLICES
    whole = captioned(server, workspace, "openai", workers=workers)
    assert (whole.captioned, whole.waiting, whole.waiting_for, len(server.requests)) == (SLICES, 0, (), SLICES - 7)


def test_what_waits_in_a_file_is_not_written_into_one_of_another_name(
    workspace: Workspace, server: ScriptedServer
) -> None:
    captioned(server, workspace, "openai-batch", sample=7)
    other = captioned(server, workspace, "openai-batch", name="other")
    [file] = other.files
    assert len(Path(file).read_text().splitlines()) == SLICES - 7
    assert (other.waiting, other.waiting_for) == (SLICES, ("openai-batch", "other"))
    answer(workspace)
    answer(workspace, "other")
    assert captioned(server, workspace, "openai-batch", sample=7).captioned == 7
    assert captioned(server, workspace, "openai-batch", name="other").captioned == SLICES


def test_files_that_are_removed_are_asked_anew_and_may_have_been_paid_for(
    workspace: Workspace, server: ScriptedServer, tmp_path: Path
) -> None:
    table = priced(tmp_path)
    first = captioned(server, workspace, "openai-batch", prices=table)
    assert first.in_doubt_usd == 0.0, "what waits is not in doubt"
    with AnswerLedger(workspace.asked) as ledger:
        set_aside = ledger.spent() / NANO
    assert forecast(config(server, "openai"), workspace)["requests"] == 0
    shutil.rmtree(workspace.asked / "openai-batch")
    assert forecast(config(server, "openai"), workspace)["requests"] == SLICES
    result = captioned(server, workspace, "openai", prices=table)
    assert (result.captioned, len(server.requests), result.waiting) == (SLICES, SLICES, 0)
    assert result.in_doubt_usd == pytest.approx(set_aside) and set_aside > 0
    assert captioned(server, workspace, "openai", prices=table).in_doubt_usd == result.in_doubt_usd


def test_files_whose_folder_is_renamed_wait_there(workspace: Workspace, server: ScriptedServer) -> None:
    captioned(server, workspace, "openai-batch", sample=7)
    (workspace.asked / "openai-batch").rename(workspace.asked / "kept")
    result = captioned(server, workspace, "openai")
    assert (result.captioned, len(server.requests), result.waiting_for) == (SLICES - 7, SLICES - 7, ("kept",))
    answer(workspace, "kept")
    assert captioned(server, workspace, "openai-batch", name="kept", sample=7).captioned == 7


def test_a_ledger_that_does_not_know_what_waits_learns_it_from_the_files(
    workspace: Workspace, server: ScriptedServer
) -> None:
    captioned(server, workspace, "openai-batch", sample=7)
    database = sqlite3.connect(workspace.asked / ANSWERS)
    database.executescript("DROP TRIGGER waited; DROP TABLE waiting; DELETE FROM slices; PRAGMA user_version = 1;")
    database.close()
    result = captioned(server, workspace, "openai")
    assert (result.captioned, result.waiting, len(server.requests)) == (SLICES - 7, 7, SLICES - 7)
    answer(workspace)
    assert captioned(server, workspace, "openai-batch", sample=7).captioned == 7
    assert captioned(server, workspace, "openai").captioned == SLICES
    with AnswerLedger(workspace.asked) as ledger:
        assert (ledger.waiting_keys(), ledger.num_open()) == ({}, 0)


def test_the_file_of_ids_that_was_moved_away_lets_its_questions_be_asked_again(
    workspace: Workspace, server: ScriptedServer
) -> None:
    captioned(server, workspace, "openai-batch")
    for path in (workspace.asked / "openai-batch").glob("batch.sqlite*"):
        path.unlink()
    again = captioned(server, workspace, "openai-batch")
    assert len(again.files) == 1 and again.waiting == SLICES
    with AnswerLedger(workspace.asked) as ledger:
        assert ledger.num_open() == 2 * SLICES, "the first file may have been paid for"
