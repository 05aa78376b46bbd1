"""The stage with a real, tiny vision-language model in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_vlm import save_tiny_vlm

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.forecast import forecast
from med3dinsight.captions.models.choosing import choose
from med3dinsight.captions.run import run
from med3dinsight.config import build
from med3dinsight.errors import ConfigError
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore

Prepared = Callable[..., Workspace]
SLICES = 2 * 3 * 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_vlm(tmp_path_factory.mktemp("models") / "tiny-llava")


@pytest.fixture
def workspace(prepared: Prepared) -> Workspace:
    generator = np.random.default_rng(0)
    cubes: dict[str, NDArray[np.uint8]] = {
        name: generator.integers(0, 255, (16, 16, 16), dtype=np.uint8) for name in "ab"
    }
    return prepared(cubes, protocol="cube128")


def config(folder: Path, **changes: Any) -> CaptionConfig:
    values = {"captioner": "local", "model": str(folder), "positions_per_plane": 2, "device": "cpu", **changes}
    return build(CaptionConfig, values, "caption")


def texts_of(workspace: Workspace, name: str = "local") -> dict[str, str]:
    with CaptionStore(workspace.captions) as ledger:
        return ledger.texts(name)


def test_a_model_in_a_folder_writes_a_text_for_every_slice_and_nothing_twice(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    result = run(config(folder), workspace)
    texts = texts_of(workspace)
    assert (result.captioned + result.quarantined, result.left) == (SLICES, 0)
    assert len(texts) == result.captioned >= SLICES // 2
    assert len(set(texts.values())) > 1, "the picture decides"
    assert result.requests_sent >= SLICES
    assert not (workspace.asked / "audit.jsonl").read_bytes(), "nothing was sent anywhere"
    moved = shutil.copytree(folder, tmp_path / "elsewhere" / "tiny-llava")
    again = run(config(moved, name="again"), workspace)
    assert again.requests_sent == 0, "the same model in another place has answered before"
    assert texts_of(workspace, "again") == texts
    card = (workspace.captions / "again" / "README.md").read_text()
    assert "tiny-llava@" in card and str(tmp_path) not in card


def test_the_forecast_says_that_nothing_is_paid(workspace: Workspace, folder: Path) -> None:
    told = forecast(config(folder), workspace)
    assert told["requests"] > 0 and told["most_usd"] == 0.0 and not workspace.asked.exists()


def test_other_weights_of_the_same_name_are_another_model(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "tiny-llava")
    weights = other / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    names = [choose(config(path), in_process=True).model for path in (folder, other)]
    assert names[0] == names[1]
    weights.write_bytes(content)
    assert choose(config(other), in_process=True).model != names[0]


def test_what_is_not_said_is_the_familys(folder: Path) -> None:
    chosen = choose(config(folder), in_process=True)
    assert (chosen.prompt.name, chosen.picture_size) == ("describe-spelled", 336)
    told = choose(config(folder, prompt="describe", picture_size=128), in_process=True)
    assert (told.prompt.name, told.picture_size) == ("describe", 128)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model": "no/such/folder"}, "there is no folder no/such/folder"),
        ({"model": "."}, "holds no model"),
        ({"base_url": "http://127.0.0.1:1/v1"}, "base_url is read by openai"),
        ({"budget_usd": 1.0}, "budget_usd is read by openai"),
    ],
)
def test_what_cannot_work_is_said_at_once(
    workspace: Workspace, folder: Path, changes: dict[str, Any], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.root)
    with pytest.raises(ConfigError, match=what):
        run(config(folder, **changes), workspace)
