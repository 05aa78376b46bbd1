"""The stage with Batch files: questions go out, answers come in, the same command goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scripted_server import completion

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.run import run
from med3dinsight.config import build
from med3dinsight.errors import ConfigError, PrivacyError
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore

Prepared = Callable[..., Workspace]
SLICES = 3 * 4
SAID = {"modality": "CT", "plane": "unknown", "position": "", "anatomy": [], "appearance": "", "caption": "Lung."}


@pytest.fixture
def workspace(prepared: Prepared) -> Workspace:
    voxels: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 255, (16, 16, 16), dtype=np.uint8)
    return prepared({"anna": voxels}, protocol="cube128")


def config(**changes: Any) -> CaptionConfig:
    values = {"captioner": "openai-batch", "model": "m", "base_url": "http://127.0.0.1:9/v1", "positions_per_plane": 4}
    return build(CaptionConfig, {**values, "picture_size": 64, **changes}, "caption")


def answers(requests: Path, contents: Callable[[int], str]) -> list[str]:
    """What a service makes of a request file."""
    rows = []
    for number, line in enumerate(requests.read_text().splitlines()):
        body = completion(contents(number))
        response = {"status_code": 200, "request_id": "r", "body": body}
        rows.append({"id": "b", "custom_id": json.loads(line)["custom_id"], "response": response, "error": None})
    return [json.dumps(row) for row in rows]


def test_files_go_out_and_come_in_until_every_slice_is_dealt_with(workspace: Workspace) -> None:
    first = run(config(), workspace)
    assert (first.captioned, first.left, first.stopped, first.requests_sent) == (0, SLICES, "files", 0)
    [out] = map(Path, first.files)
    assert "anna" not in out.read_text() and len(out.read_text().splitlines()) == SLICES
    waiting = run(config(), workspace)
    assert (waiting.files, waiting.left) == ((), SLICES), "what waits is not written again"
    back = workspace.asked / "openai-batch" / "answers"
    (back / "one.jsonl").write_text("\n".join(answers(out, lambda row: "?" if row < 2 else json.dumps(SAID))))
    second = run(config(), workspace)
    assert (second.captioned, second.left, second.stopped) == (SLICES - 2, 2, "files")
    [again] = map(Path, second.files)
    (back / "two.jsonl").write_text("\n".join(answers(again, lambda row: json.dumps(SAID))))
    third = run(config(), workspace)
    assert (third.captioned, third.left, third.stopped, third.files) == (SLICES, 0, "", ())
    with CaptionStore(workspace.captions) as ledger:
        assert set(ledger.texts("openai-batch").values()) == {"Lung."}
    assert run(config(), workspace).done_before


def test_files_for_a_service_elsewhere_need_a_policy_too(workspace: Workspace) -> None:
    with pytest.raises(PrivacyError, match="is not this machine"):
        run(config(base_url="https://api.example.com/v1"), workspace)
    assert not (workspace.captions / "openai-batch").exists()


def test_a_setting_of_requests_is_refused() -> None:
    with pytest.raises(ConfigError, match="concurrency is read by openai, not by openai-batch"):
        config(concurrency=3)
