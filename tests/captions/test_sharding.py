"""The stage with a chat model and several processes: the same texts, each question once, one ledger in the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_server import Scripted, ScriptedServer, completion, scripted_server

from med3dinsight.captions import chatting
from med3dinsight.captions.asking.shards import SHARDS
from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.forecast import forecast
from med3dinsight.captions.privacy.audit_log import check_audit_log
from med3dinsight.captions.run import run
from med3dinsight.config import build
from med3dinsight.engines import ENGINES
from med3dinsight.errors import FatalError
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore

POSITIONS = 4
SLICES = 2 * 3 * POSITIONS
SAID = {"modality": "CT", "plane": "unknown", "position": "", "anatomy": [], "appearance": "", "caption": "The lung."}
GOOD = Scripted(body=completion(json.dumps(SAID)))


@pytest.fixture
def workspace(prepared: Callable[..., Workspace]) -> Workspace:
    generator = np.random.default_rng(0)
    volumes = {name: generator.integers(0, 255, (16, 16, 16), dtype=np.uint8) for name in ("a", "b")}
    return prepared(volumes, protocol="cube128")


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chatting, "SHARD_SLICES", 7)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster of processes of this machine."""
    monkeypatch.setitem(ENGINES, "ray", ENGINES["local"])


def config(server: ScriptedServer, **changes: Any) -> CaptionConfig:
    values = {"captioner": "openai", "model": "m", "base_url": server.base_url, "positions_per_plane": POSITIONS}
    return build(CaptionConfig, {**values, "picture_size": 64, "engine": "ray", "workers": 2, **changes}, "caption")


def check_captioned(server: ScriptedServer, workspace: Workspace) -> None:
    with CaptionStore(workspace.captions) as ledger:
        texts = ledger.texts("openai")
    assert (len(texts), set(texts.values())) == (SLICES, {"The lung."})
    assert len(server.requests) == SLICES
    assert not list((workspace.asked / SHARDS).iterdir())
    log = workspace.asked / "audit.jsonl"
    assert not check_audit_log(log).wrong
    assert sum("body_sha256" in line for line in log.read_text().splitlines()) == SLICES


@pytest.mark.usefixtures("here", "small_shards")
def test_processes_ask_in_shards_and_leave_one_ledger(workspace: Workspace) -> None:
    with scripted_server(GOOD) as server:
        result = run(config(server), workspace)
        assert (result.captioned, result.requests_sent, result.left) == (SLICES, SLICES, 0)
        check_captioned(server, workspace)
        with CaptionStore(workspace.captions) as ledger:
            ledger.remove("openai", ["a", "b"])
        (workspace.captions / "openai" / "run.json").unlink(missing_ok=True)
        again = run(config(server, engine="local", name="openai"), workspace)
        assert (again.captioned, len(server.requests)) == (SLICES, SLICES), "the one ledger knows all of them"


@pytest.mark.usefixtures("here", "small_shards")
@pytest.mark.parametrize(("workers", "processes", "share"), [(2, 2, 3), (8, 7, 1)])
def test_all_processes_together_keep_to_the_concurrency(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, workers: int, processes: int, share: int
) -> None:
    seen: list[tuple[int, int]] = []

    def engine(ask: Any, shards: Any, at_a_time: int) -> Any:
        seen.extend((at_a_time, shard.concurrency) for shard in shards)
        return iter(())

    monkeypatch.setitem(ENGINES, "local", engine)
    with scripted_server(GOOD) as server:
        run(config(server, engine="local", workers=workers, concurrency=7), workspace)
    assert set(seen) == {(processes, share)}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("workers", "sample", "sizes"), [(2, None, [12, 12]), (5, None, [5, 5, 5, 5, 4]), (3, 2, [1, 1])]
)
def test_few_slices_are_dealt_out_to_all_processes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, workers: int, sample: int | None, sizes: list[int]
) -> None:
    seen: list[int] = []

    def engine(ask: Any, shards: Any, at_a_time: int) -> Any:
        seen.extend(len(shard.slices) for shard in shards)
        return iter(())

    monkeypatch.setitem(ENGINES, "local", engine)
    with scripted_server(GOOD) as server:
        run(config(server, engine="local", workers=workers, sample=sample), workspace)
    assert seen == sizes


@pytest.mark.slow
@pytest.mark.usefixtures("here", "small_shards")
def test_a_budget_holds_over_all_processes(workspace: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text("[m]\ninput_usd = 1000.0\noutput_usd = 1000.0\npicture_tokens = 100\n")
    with scripted_server(GOOD) as server:
        # Room for the most that one request can cost, and for four that cost what they do.
        cap = forecast(config(server, prices=table), workspace)["most_usd"] / SLICES + 4 * 0.097
        result = run(config(server, budget_usd=cap, prices=table), workspace)
        assert result.stopped == "budget"
        assert 0 < result.captioned == len(server.requests) < SLICES
        assert 0 < result.cost_usd <= cap
        whole = run(config(server, budget_usd=500.0, prices=table), workspace)
        assert (whole.captioned, len(server.requests)) == (SLICES, SLICES)


@pytest.mark.usefixtures("here", "small_shards")
def test_what_ends_one_process_ends_all_and_nothing_is_asked_again(workspace: Workspace) -> None:
    refused = Scripted(status=401, body={"error": {"message": "bad key", "code": "invalid_api_key"}})
    with scripted_server(*[GOOD] * 10, refused) as server, pytest.raises(FatalError, match="bad key"):
        run(config(server, workers=1, concurrency=1), workspace)
    with scripted_server(GOOD) as server:
        run(config(server), workspace)
        assert len(server.requests) == SLICES - 10


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore")  # Ray's own
@pytest.mark.usefixtures("small_shards")
def test_a_ray_cluster_asks_in_shards(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server(GOOD) as server:
        assert run(config(server), workspace).captioned == SLICES
        check_captioned(server, workspace)
