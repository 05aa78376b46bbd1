"""Texts written by earlier settings stay until the new ones have brought an answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_server import Scripted, ScriptedServer, completion, scripted_server

from med3dinsight.captions import outdated
from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.run import run
from med3dinsight.config import build
from med3dinsight.errors import FatalError
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.provenance import RECORD

SLICES = 2 * 3 * 2
UNKNOWN = Scripted(status=404, body={"error": {"message": "no model m2", "code": "model_not_found"}})


def says(caption: str) -> Scripted:
    said = {"modality": "CT", "plane": "unknown", "position": "", "anatomy": [], "appearance": "", "caption": caption}
    return Scripted(body=completion(json.dumps(said)))


@pytest.fixture
def workspace(prepared: Callable[..., Workspace]) -> Workspace:
    """All slices are captioned by the model ``m``."""
    generator = np.random.default_rng(0)
    volumes = {name: generator.integers(0, 255, (16, 16, 16), dtype=np.uint8) for name in ("a", "b")}
    workspace = prepared(volumes, protocol="cube128")
    with scripted_server(says("Old.")) as server:
        assert run(config(server), workspace).captioned == SLICES
    return workspace


def config(server: ScriptedServer, **changes: Any) -> CaptionConfig:
    values = {"captioner": "openai", "model": "m", "base_url": server.base_url, "positions_per_plane": 2}
    return build(CaptionConfig, {**values, "picture_size": 64, "concurrency": 1, **changes}, "caption")


def texts(workspace: Workspace, name: str = "openai") -> Counter[str]:
    with CaptionStore(workspace.captions) as ledger:
        assert ledger.captioners() == [name]
        return Counter(ledger.texts(name).values())


def is_complete(workspace: Workspace) -> bool:
    return (workspace.captions / "openai" / RECORD).exists()


def test_a_model_that_nobody_knows_costs_no_text(workspace: Workspace) -> None:
    with scripted_server(UNKNOWN) as server:
        with pytest.raises(FatalError, match="no model m2"):
            run(config(server, model="m2"), workspace)
        assert texts(workspace) == {"Old.": SLICES} and is_complete(workspace)
        assert run(config(server), workspace).done_before


def test_nor_does_one_that_refuses_every_request(workspace: Workspace) -> None:
    refusing = Scripted(status=400, body={"error": {"message": "this model takes no pictures of that kind"}})
    with scripted_server(refusing) as server, pytest.raises(FatalError, match="refuses every request"):
        run(config(server, model="m2"), workspace)
    with scripted_server(says("Old.")) as server:
        run(config(server, captioner="openai-batch", concurrency=16, model="m2"), workspace)
        out = workspace.asked / "openai-batch"
        lines = []
        for line in (out / "requests-0001.jsonl").read_text().splitlines():
            response = {"status_code": 400, "request_id": "r", "body": refusing.body}
            lines.append(json.dumps({"custom_id": json.loads(line)["custom_id"], "response": response, "error": None}))
        (out / "answers" / "out.jsonl").write_text("\n".join(lines))
        with pytest.raises(FatalError, match="refused as a whole"):
            run(config(server, captioner="openai-batch", concurrency=16, model="m2"), workspace)
    assert texts(workspace) == {"Old.": SLICES} and is_complete(workspace)


def test_the_first_answer_takes_the_place_of_all_of_them(workspace: Workspace) -> None:
    with scripted_server(says("New."), UNKNOWN) as server, pytest.raises(FatalError):
        run(config(server, model="m2"), workspace)
    assert texts(workspace) == {"New.": 1} and not is_complete(workspace)
    with scripted_server(says("New.")) as server:
        assert run(config(server, model="m2"), workspace).captioned == SLICES
    assert texts(workspace) == {"New.": SLICES} and is_complete(workspace)


def test_without_an_answer_they_come_back_and_are_not_taken_for_new_ones(workspace: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text("[m2]\ninput_usd = 1000.0\noutput_usd = 1000.0\npicture_tokens = 100\n")
    with scripted_server(says("New.")) as server:
        result = run(config(server, model="m2", prices=table, budget_usd=0.001), workspace)
        assert (result.left, result.captioned, result.stopped, server.requests) == (SLICES, 0, "budget", [])
    assert texts(workspace) == {"Old.": SLICES} and is_complete(workspace)


def test_answers_that_nobody_can_read_replace_them_once_they_are_all(workspace: Workspace) -> None:
    with scripted_server(*[Scripted(body=completion("?"))] * 3, UNKNOWN) as server, pytest.raises(FatalError):
        run(config(server, model="m2"), workspace)
    assert texts(workspace) == {"Old.": SLICES}
    with scripted_server(Scripted(body=completion("?"))) as server:
        assert run(config(server, model="m2"), workspace).quarantined == SLICES
    with CaptionStore(workspace.captions) as ledger:
        assert not ledger.texts("openai") and ledger.num_written("openai") == SLICES


def test_after_a_kill_they_come_back(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server(UNKNOWN) as server:
        with monkeypatch.context() as killed:
            killed.setattr(outdated.Outdated, "__exit__", lambda *_: None)
            with pytest.raises(FatalError):
                run(config(server, model="m2"), workspace)
        with CaptionStore(workspace.captions) as ledger:
            assert ledger.captioners() == [] and not is_complete(workspace), "nobody reads half of it"
        assert run(config(server), workspace).captioned == SLICES
        assert len(server.requests) == 1, "of the other model"
    assert texts(workspace) == {"Old.": SLICES}


def test_files_for_another_model_leave_them_until_an_answer_is_read(workspace: Workspace) -> None:
    with scripted_server(says("Old.")) as server:
        settings = {"captioner": "openai-batch", "concurrency": 16}
        with CaptionStore(workspace.captions) as ledger:
            ledger.remove("openai", ["a", "b"])
        assert run(config(server, **settings), workspace).captioned == SLICES, "answered by requests before"
        waiting = run(config(server, **settings, model="m2"), workspace)
    assert (waiting.captioned, waiting.left, waiting.waiting) == (0, SLICES, SLICES)
    assert texts(workspace, "openai-batch") == {"Old.": SLICES}
    [path] = map(Path, waiting.files)
    lines = []
    for line in path.read_text().splitlines()[:2]:
        response = {"status_code": 200, "request_id": "r", "body": says("New.").body}
        lines.append(json.dumps({"custom_id": json.loads(line)["custom_id"], "response": response, "error": None}))
    (path.parent / "answers" / "out.jsonl").write_text("\n".join(lines))
    with scripted_server(says("Old.")) as server:
        assert run(config(server, **settings, model="m2"), workspace).captioned == 2
    assert texts(workspace, "openai-batch") == {"New.": 2}


def test_what_settings_wrote_that_were_given_up_is_no_text_of_the_earlier_ones(workspace: Workspace) -> None:
    with CaptionStore(workspace.captions) as ledger:
        ledger.remove("openai", ["b"])
    (workspace.captions / "openai" / RECORD).unlink()
    unreadable = Scripted(body=completion("?"))
    with scripted_server(unreadable) as server:
        given_up = run(config(server, max_tokens=20, sample=SLICES - 1), workspace)
    assert (given_up.quarantined, given_up.left) == (SLICES - 1, 1)
    assert "stay" in given_up.notes[0]
    with scripted_server(says("Old.")) as server:
        again = run(config(server, sample=1), workspace)
        assert (again.captioned, again.quarantined, again.left, again.notes) == (SLICES // 2, 0, SLICES // 2, ())
        assert run(config(server), workspace).captioned == SLICES
    assert texts(workspace) == {"Old.": SLICES}


def test_a_record_put_aside_says_nothing_of_another_slice_table(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_server(UNKNOWN) as server:
        with monkeypatch.context() as killed:
            killed.setattr(outdated.Outdated, "__exit__", lambda *_: None)
            with pytest.raises(FatalError):
                run(config(server, model="m2"), workspace)
        with pytest.raises(FatalError):
            run(config(server, model="m3", positions_per_plane=5), workspace)
    assert not is_complete(workspace)


def test_a_model_that_has_answered_may_refuse_all_of_new_volumes(prepared: Callable[..., Workspace]) -> None:
    generator = np.random.default_rng(1)
    volumes = {name: generator.integers(0, 255, (16, 16, 16), dtype=np.uint8) for name in ("a", "b", "c")}
    with scripted_server(says("Old.")) as server:
        run(config(server), prepared({"a": volumes["a"]}, protocol="cube128"))
    workspace = prepared(volumes, protocol="cube128")
    with scripted_server(Scripted(status=400, body={"error": {"message": "content"}})) as server:
        result = run(config(server), workspace)
    assert (result.captioned, result.refused, result.without_text, result.left) == (6, 12, 12, 0)
