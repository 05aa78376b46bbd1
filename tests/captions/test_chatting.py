"""The stage with a chat model at a loopback endpoint: from slices to texts, kept, never asked for twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scripted_server import Scripted, ScriptedServer, completion, scripted_server

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.forecast import forecast
from med3dinsight.captions.privacy.audit_log import check_audit_log
from med3dinsight.captions.run import run
from med3dinsight.config import build
from med3dinsight.errors import ConfigError, FatalError, PrivacyError
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.answer_ledger import NANO, AnswerLedger
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.overview import remove_stage
from med3dinsight.workspace.provenance import RECORD

Prepared = Callable[..., Workspace]
POSITIONS = 2
SLICES = 2 * 3 * POSITIONS


def described(caption: str, plane: str = "unknown") -> Scripted:
    said = {
        "modality": "CT",
        "plane": plane,
        "position": "chest",
        "anatomy": ["lung"],
        "appearance": "dark",
        "caption": caption,
    }
    return Scripted(body=completion(json.dumps(said)))


@pytest.fixture
def workspace(prepared: Prepared) -> Workspace:
    voxels: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 255, (16, 16, 16), dtype=np.uint8)
    return prepared({"a": voxels, "b": voxels[::-1].copy()}, protocol="cube128")


def config(server: ScriptedServer, **changes: Any) -> CaptionConfig:
    values = {"captioner": "openai", "model": "m", "base_url": server.base_url, "positions_per_plane": POSITIONS}
    return build(CaptionConfig, {**values, "picture_size": 64, **changes}, "caption")


def texts_of(workspace: Workspace, name: str = "openai") -> dict[str, str]:
    with CaptionStore(workspace.captions) as ledger:
        return ledger.texts(name)


def prices(folder: Path) -> Path:
    path = folder / "prices.toml"
    path.write_text("[m]\ninput_usd = 1000.0\noutput_usd = 1000.0\npicture_tokens = 100\n")
    return path


def test_every_slice_is_asked_about_once_and_a_second_run_sends_nothing(workspace: Workspace) -> None:
    with scripted_server(described("The lung.")) as server:
        result = run(config(server), workspace)
        assert (result.captioned, result.requests_sent, result.left, result.quarantined) == (SLICES, SLICES, 0, 0)
        assert set(texts_of(workspace).values()) == {"The lung."}
        again = run(config(server), workspace)
        assert (again.done_before, again.requests_sent, again.captioned) == (True, 0, SLICES)
        (workspace.captions / "openai" / RECORD).unlink()
        with CaptionStore(workspace.captions) as ledger:
            ledger.remove("openai", ["a", "b"])
        assert run(config(server), workspace).requests_sent == 0, "answers are in the ledger of answers"
        remove_stage(workspace, "caption")
        assert run(config(server), workspace).captioned == SLICES, "nor does cleaning lose what was paid"
        assert len(server.requests) == SLICES
    prompts = {part["text"] for _, _, body in server.requests for part in body["messages"][-1]["content"][:1]}
    assert len(prompts) == SLICES // 2, "plane and position are in the prompt; the two cubes lie alike"
    assert (workspace.captions / "openai" / "captions.parquet").exists()


def test_each_request_is_in_the_log_without_content(workspace: Workspace) -> None:
    with scripted_server(described("A secret remark.")) as server:
        run(config(server), workspace)
    log = workspace.asked / "audit.jsonl"
    assert not check_audit_log(log).wrong
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sum("bytes" in line for line in lines) == SLICES
    assert "secret" not in log.read_text()


def test_the_same_texts_can_be_asked_of_two_models(workspace: Workspace) -> None:
    with scripted_server(described("Of one.")) as server:
        run(config(server, name="one"), workspace)
        run(config(server, name="two", model="other"), workspace)
        assert len(server.requests) == 2 * SLICES
        assert texts_of(workspace, "one").keys() == texts_of(workspace, "two").keys()


def test_an_answer_that_cannot_be_read_is_quarantined_for_good(workspace: Workspace) -> None:
    with scripted_server(Scripted(body=completion("I like cats."))) as server:
        result = run(config(server), workspace)
        assert (result.captioned, result.quarantined, result.without_text) == (0, SLICES, SLICES)
        assert len(server.requests) == 3 * SLICES, "asked again twice"
        (workspace.captions / "openai" / RECORD).unlink()
        run(config(server), workspace)
        assert len(server.requests) == 3 * SLICES


def test_answers_that_were_cut_are_counted_and_asked_for_once(workspace: Workspace) -> None:
    cut = completion('{"modality": "CT", "pla')
    cut["choices"][0]["finish_reason"] = "length"
    with scripted_server(Scripted(body=cut)) as server:
        result = run(config(server), workspace)
        assert (result.quarantined, result.cut, result.requests_sent) == (SLICES, SLICES, SLICES)


def test_what_may_have_been_paid_for_nothing_is_told(workspace: Workspace, tmp_path: Path) -> None:
    with AnswerLedger(workspace.asked, create=True) as ledger:
        ledger.reserve("of a run that was killed", NANO // 4).result()
    with scripted_server(described("The lung.")) as server:
        result = run(config(server, prices=prices(tmp_path)), workspace)
    assert result.in_doubt_usd == 0.25
    assert result.cost_usd == pytest.approx(SLICES * 0.097), "of another run"


def test_texts_that_contradict_the_slice_are_flagged_and_kept(workspace: Workspace) -> None:
    with scripted_server(described("A <b>sagittal</b> slice.", plane="sagittal")) as server:
        result = run(config(server), workspace)
    assert (result.captioned, result.flagged) == (SLICES, SLICES)
    with CaptionStore(workspace.captions) as ledger:
        flags = ledger.flagged("openai")
    planes = {key.split(":")[2]: found for key, found in flags.items()}
    assert planes == {"0": ("markup", "wrong-plane"), "1": ("markup", "wrong-plane"), "2": ("markup",)}


def test_a_budget_is_never_passed_and_more_of_it_goes_on(workspace: Workspace, tmp_path: Path) -> None:
    table = prices(tmp_path)
    with scripted_server(described("The lung.")) as server:
        # Room for the most that one request can cost, and for four that cost what they do.
        cap = forecast(config(server, prices=table), workspace)["most_usd"] / SLICES + 4 * 0.097
        notes: list[str] = []
        small = config(server, budget_usd=cap, prices=table, concurrency=2)
        first = run(small, workspace, progress=lambda done, total, note="": notes.append(note))
        assert re.fullmatch(rf"up to {SLICES} questions, \d+\.\d\d USD at most", notes[0])
        assert notes[-1].endswith("USD so far")
        assert first.stopped == "budget"
        assert 0 < first.captioned < SLICES
        assert 0 < first.cost_usd <= cap
        assert not (workspace.captions / "openai" / RECORD).exists()
        whole = run(config(server, budget_usd=1000.0, prices=table), workspace)
        assert (whole.captioned, whole.left, whole.stopped) == (SLICES, 0, "")
        assert len(server.requests) == SLICES
    assert first.cost_usd + whole.cost_usd == pytest.approx(SLICES * 0.097)


def test_the_forecast_counts_what_is_not_answered_and_sends_nothing(workspace: Workspace, tmp_path: Path) -> None:
    table = prices(tmp_path)
    with scripted_server(described("The lung.")) as server:
        before = forecast(config(server, prices=table), workspace)
        assert not server.requests and not (workspace.captions / "ledger.sqlite").exists()
        spent = run(config(server, prices=table, sample=SLICES // 2), workspace).cost_usd
        after = forecast(config(server, prices=table), workspace)
    assert (before["slices"], before["requests"]) == (SLICES, SLICES)
    assert (after["slices"], after["requests"]) == (SLICES, SLICES // 2)
    assert after["most_usd"] == pytest.approx(before["most_usd"] / 2, rel=1e-6)
    assert spent < before["most_usd"] / 2
    assert forecast(config(server), workspace)["most_usd"] is None


def test_a_model_that_reasons_gets_the_parameters_that_it_takes(workspace: Workspace, tmp_path: Path) -> None:
    with scripted_server(described("The lung.")) as server:
        run(config(server), workspace)
        told = forecast(config(server, reasons=True, max_tokens=4000, prices=prices(tmp_path)), workspace)
        assert told["requests"] == SLICES and told["most_usd"] > SLICES * 4.0
        run(config(server, reasons=True, max_tokens=4000), workspace)
    usual, thoughtful = server.requests[0][2], server.requests[-1][2]
    assert len(server.requests) == 2 * SLICES
    assert thoughtful["max_completion_tokens"] == 4000
    assert set(usual) - set(thoughtful) == {"max_tokens", "temperature"}


def test_a_sample_comes_first(workspace: Workspace) -> None:
    with scripted_server(described("The lung.")) as server:
        result = run(config(server, sample=5), workspace)
        assert (result.captioned, result.left, len(server.requests)) == (5, SLICES - 5, 5)
        run(config(server), workspace)
        assert len(server.requests) == SLICES


@pytest.mark.parametrize(
    ("changes", "error", "what"),
    [
        ({"model": ""}, ConfigError, "no model is named"),
        ({"base_url": ""}, ConfigError, "needs the address"),
        ({"base_url": "https://api.example.com/v1"}, PrivacyError, "is not this machine"),
        ({"prompt": "describ"}, ConfigError, "did you mean describe"),
        ({"budget_usd": 1.0}, ConfigError, "needs the price"),
        ({"captioner": "tissue", "base_url": ""}, ConfigError, "read by openai"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_sent_or_changed(
    workspace: Workspace, changes: dict[str, Any], error: type[Exception], what: str
) -> None:
    with scripted_server(described("x")) as server:
        with pytest.raises(error, match=what):
            run(config(server, **changes), workspace)
        assert not server.requests
    assert not (workspace.captions / "ledger.sqlite").exists()


def test_a_server_that_refuses_the_key_ends_the_run_and_keeps_what_there_is(workspace: Workspace) -> None:
    refused = Scripted(status=401, body={"error": {"message": "bad key", "code": "invalid_api_key"}})
    with scripted_server(*[described("The lung.")] * 3, refused) as server, pytest.raises(FatalError):
        run(config(server, concurrency=1), workspace)
    with scripted_server(described("The spine.")) as server:
        run(config(server), workspace)
        assert len(server.requests) == SLICES - 3
    assert sorted(texts_of(workspace).values()) == ["The lung."] * 3 + ["The spine."] * (SLICES - 3)
