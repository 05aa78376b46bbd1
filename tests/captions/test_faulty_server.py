"""The whole stage against a server of which a fifth of the answers goes wrong: nothing lost, doubled or overspent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faulty_server import FAULTS, INJECTED, faulty_server
from numpy.typing import NDArray

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.run import run
from med3dinsight.config import build
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.answer_ledger import NANO, AnswerLedger
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.provenance import RECORD

Prepared = Callable[..., Workspace]
#: Crops of 16 voxels with 8 slices a plane.
SLICES_A_CROP = 24


@pytest.fixture
def workspace(prepared: Prepared) -> Workspace:
    voxels: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 255, (40, 40, 40), dtype=np.uint8)
    return prepared({"a": voxels, "b": np.ascontiguousarray(voxels[::-1])})


@pytest.mark.parametrize("crops", [6, pytest.param(209, marks=pytest.mark.slow)], ids=["288", "10032"])
def test_nothing_is_lost_doubled_or_overspent(workspace: Workspace, tmp_path: Path, crops: int) -> None:
    table = tmp_path / "prices.toml"
    table.write_text("[m]\ninput_usd = 1.0\noutput_usd = 1.0\npicture_tokens = 100\n")
    with faulty_server() as server:
        values = {
            "captioner": "openai",
            "model": "m",
            "base_url": server.base_url,
            "picture_size": 64,
            "crop_size": 16,
            "crops_per_volume": crops,
            "positions_per_plane": 8,
            "concurrency": 32,
            "prices": table,
            "budget_usd": 100.0,
        }
        config = build(CaptionConfig, values, "caption")
        result = run(config, workspace)
        slices = 2 * crops * SLICES_A_CROP
        assert (result.captioned + result.quarantined, result.left) == (slices, 0)
        assert server.faults.keys() - {""} == set(FAULTS)
        assert result.requests_sent == server.asked.total()
        assert set(server.readable.values()) == {1}, "what was answered is never asked again"
        with CaptionStore(workspace.captions) as ledger:
            texts, flags = ledger.texts("openai"), ledger.flagged("openai")
        assert len(texts) == result.captioned
        assert set(texts.values()) == set(server.texts.values()), "each text is the one that was written"
        injected = [key for key, text in texts.items() if INJECTED in text]
        assert injected and all({"instruction", "link"} <= set(flags[key]) for key in injected)
        with AnswerLedger(workspace.asked) as answers:
            assert answers.paid() == server.answers * 97_000
            assert answers.paid() / NANO <= result.cost_usd <= 100.0
        before = server.asked.total()
        (workspace.captions / "openai" / RECORD).unlink()
        assert run(config, workspace).requests_sent == 0
        assert server.asked.total() == before
