"""The stage: resumable, complete once, the same slices for all captioners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.registry import CAPTIONERS, list_captioners
from med3dinsight.captions.run import CHUNK_SLICES, run
from med3dinsight.captions.tissue import TissueDescriber
from med3dinsight.config import build
from med3dinsight.errors import ConfigError, WorkspaceError
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.provenance import read_record

Prepared = Callable[..., Workspace]
SMALL: dict[str, Any] = {"crop_size": 24, "crops_per_volume": 6, "positions_per_plane": 8}


@pytest.fixture
def volumes(phantom: NDArray[np.float32]) -> dict[str, NDArray[np.uint8]]:
    """Two different people."""
    voxels = np.round(np.clip((phantom + 1000) / 2000, 0, 1) * 255).astype(np.uint8)
    return {"a": voxels, "b": np.ascontiguousarray(voxels[::-1, :64])}


def config(captioner: str = "tissue", **changes: Any) -> CaptionConfig:
    return CaptionConfig(captioner=captioner, **{**SMALL, **changes})


def ledger_of(workspace: Workspace) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Keys of the slice table, and all texts of all captioners."""
    with CaptionStore(workspace.captions) as store:
        return [ref.key for ref in store.slices()], {name: store.texts(name) for name in store.captioners()}


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts the tissue describer has written, in order."""
    written: list[str] = []
    describe = TissueDescriber.describe

    def counting(self: TissueDescriber, view: Any) -> str:
        written.append(describe(self, view))
        return written[-1]

    monkeypatch.setattr(TissueDescriber, "describe", counting)
    return written


def test_every_slice_gets_a_text_and_a_second_run_does_nothing(
    prepared: Prepared, volumes: dict[str, NDArray[np.uint8]], described: list[str]
) -> None:
    workspace = prepared(volumes)
    seen: list[tuple[int, int]] = []
    result = run(config(), workspace, progress=lambda done, total, note="": seen.append((done, total)))
    keys, texts = ledger_of(workspace)
    assert result.captioned == len(keys) == len(described) == 2 * 6 * 3 * 8
    assert set(texts["tissue"]) == set(keys)
    assert (result.quarantined, result.requests_sent, result.cost_usd, result.done_before) == (0, 0, 0.0, False)
    assert seen[0] == (0, result.captioned)
    assert seen[-1] == (result.captioned, result.captioned)
    again = run(config(), workspace)
    assert again.done_before
    assert again.captioned == result.captioned
    assert len(described) == result.captioned


def test_a_run_that_was_interrupted_goes_on_and_ends_with_the_same_ledger(
    prepared: Prepared, volumes: dict[str, NDArray[np.uint8]], described: list[str]
) -> None:
    undisturbed = prepared(volumes, folder="undisturbed")
    run(config(), undisturbed)
    total = len(described)
    described.clear()
    workspace = prepared(volumes)

    def stop(done: int, total: int, note: str = "") -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config(), workspace, progress=stop)
    assert len(described) == len(ledger_of(workspace)[1]["tissue"]) == CHUNK_SLICES < total
    assert read_record(workspace.captions / "tissue") is None
    run(config(), workspace)
    assert ledger_of(workspace) == ledger_of(undisturbed)
    assert len(described) == total, "no text was written twice"


def test_other_slice_settings_replace_the_table_and_keep_texts_of_slices_that_stay(
    prepared: Prepared, volumes: dict[str, NDArray[np.uint8]], described: list[str]
) -> None:
    workspace = prepared(volumes)
    run(config(), workspace)
    written = len(described)
    result = run(config(crops_per_volume=8), workspace)
    assert result.captioned == 2 * 8 * 3 * 8
    assert len(described) - written == 2 * 2 * 3 * 8, "the crops drawn first stay the same"


def test_complete_means_complete_for_the_slice_table_of_now(
    prepared: Prepared, volumes: dict[str, NDArray[np.uint8]]
) -> None:
    workspace = prepared(volumes)
    run(config(), workspace)
    run(config("template", seed=1), workspace)
    assert read_record(workspace.captions / "tissue") is None
    assert not run(config(seed=1), workspace).done_before
    keys, texts = ledger_of(workspace)
    assert set(keys) <= set(texts["tissue"])
    assert set(keys) <= set(texts["template"])


def test_texts_of_voxels_that_changed_are_written_anew_and_the_others_stay(
    prepared: Prepared, volumes: dict[str, NDArray[np.uint8]], described: list[str]
) -> None:
    run(config(), prepared(volumes))
    per_case = len(described) // 2
    described.clear()
    workspace = prepared({"a": volumes["a"], "b": np.ascontiguousarray(volumes["b"][::-1])})
    assert not run(config(), workspace).done_before
    assert len(described) == per_case
    fresh = prepared({"a": volumes["a"], "b": np.ascontiguousarray(volumes["b"][::-1])}, folder="fresh")
    run(config(), fresh)
    assert ledger_of(workspace) == ledger_of(fresh)


def test_shuffled_gives_every_slice_a_text_of_another_crop(
    prepared: Prepared, volumes: dict[str, NDArray[np.uint8]]
) -> None:
    workspace = prepared(volumes)
    run(config(), workspace)
    result = run(config("shuffled"), workspace)
    keys, texts = ledger_of(workspace)
    assert result.captioned == len(keys) == len(texts["shuffled"])
    assert sorted(texts["shuffled"].values()) == sorted(texts["tissue"].values())
    assert sum(texts["shuffled"][key] == texts["tissue"][key] for key in keys) < 0.05 * len(keys)
    assert run(config("shuffled"), workspace).done_before
    before = texts["shuffled"]
    run(config(seed=5), workspace)
    run(config("shuffled", seed=5), workspace)
    assert ledger_of(workspace)[1]["shuffled"] != before


def test_shuffled_follows_the_texts_it_shuffles(prepared: Prepared, volumes: dict[str, NDArray[np.uint8]]) -> None:
    run(config(), prepared(volumes))
    workspace = prepared(volumes)
    run(config("shuffled"), workspace)
    workspace = prepared({"a": volumes["a"], "b": np.ascontiguousarray(volumes["b"][::-1])})
    run(config(), workspace)
    assert not run(config("shuffled"), workspace).done_before
    _, texts = ledger_of(workspace)
    assert sorted(texts["shuffled"].values()) == sorted(texts["tissue"].values())


def test_shuffling_what_was_not_captioned_says_what_to_do(
    prepared: Prepared, volumes: dict[str, NDArray[np.uint8]]
) -> None:
    workspace = prepared(volumes)
    with pytest.raises(WorkspaceError, match="caption --captioner tissue"):
        run(config("shuffled"), workspace)
    run(config(), workspace)
    with pytest.raises(WorkspaceError, match="other slices than these settings ask for"):
        run(config("shuffled", crop_size=32), workspace)
    assert run(config(), workspace).done_before, "nothing was touched"


def test_a_cube_is_captioned_whole(prepared: Prepared, volumes: dict[str, NDArray[np.uint8]]) -> None:
    cube = np.ascontiguousarray(volumes["a"][10:58, 10:58, 6:54])
    workspace = prepared({"a": cube}, protocol="cube128")
    result = run(CaptionConfig(captioner="template"), workspace)
    with CaptionStore(workspace.captions) as store:
        slices = store.slices()
    assert result.captioned == len(slices) == 48
    assert {(ref.crop.origin, ref.crop.size) for ref in slices} == {((0, 0, 0), 48)}


def test_nothing_prepared_is_an_error_that_names_the_verb(tmp_path: Any) -> None:
    with pytest.raises(WorkspaceError, match="med3dinsight prepare"):
        run(config(), Workspace(tmp_path / "work", create=True))


def test_an_unknown_captioner_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean tissue"):
        build(CaptionConfig, {"captioner": "tisue"}, "caption")
    with pytest.raises(ConfigError, match="dealt out already"):
        build(CaptionConfig, {"captioner": "shuffled", "shuffle_of": "shuffled"}, "caption")


def test_what_is_shuffled_matters_to_shuffled_alone() -> None:
    assert config(shuffle_of="template").identity() == config().identity()
    assert config("shuffled", shuffle_of="template").identity() != config("shuffled").identity()


def test_the_listing_says_what_is_no_language_model_and_what_is_a_control() -> None:
    rows = {row["name"]: row for row in list_captioners()}
    assert set(rows) == set(CAPTIONERS)
    assert "no language model" in rows["tissue"]["kind"]
    assert all(rows[name]["kind"].startswith("control") for name in ("template", "shuffled"))
