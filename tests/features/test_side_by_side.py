"""Embedding in several processes or on a cluster: the bits of embedding here."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learned_workspace import Toy, ToyTowers
from numpy.typing import NDArray
from tiny_towers import save_clip

from med3dinsight.engines import ENGINES, Failed
from med3dinsight.errors import ConfigError, InputError
from med3dinsight.features import side_by_side
from med3dinsight.towers.registry import TOWERS, TowerEntry
from med3dinsight.workspace import feature_store


class BatchTowers(ToyTowers):
    """Towers whose answers depend on what else is in the batch."""

    def embed_images(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        features = super().embed_images(pictures)
        return (features + features.mean()).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return super().embed_texts(texts) + np.float32(len(texts))


def looks_ahead(function: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Generator[Any, None, None]:
    """An engine that takes three items before it gives the first result, and sends all as messages."""
    waiting: deque[bytes] = deque()
    function = pickle.loads(pickle.dumps(function))
    for item in items:
        waiting.append(pickle.dumps(item))
        if len(waiting) == 3:
            yield function(pickle.loads(waiting.popleft()))
    while waiting:
        yield function(pickle.loads(waiting.popleft()))


@pytest.fixture
def captioned(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Seven people, three chunks of slices, some of which show the same."""
    side_by_side._loaded.cache_clear()
    monkeypatch.setitem(TOWERS, "toy", TowerEntry(lambda device: BatchTowers(), 0, "for tests", "the tests"))
    for number in range(7):
        toy.add(f"p{number}", seed=number % 6)  # the last one is the first one's twin
    toy.prepare()
    slices = toy.caption()
    assert len(slices) > 2 * feature_store.CHUNK_ROWS
    return toy


def bits(toy: Toy, towers: str = "toy") -> dict[str, bytes]:
    """All features and projections."""
    folder = toy.workspace.features / towers
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.[ns][pa][yf]*")}


def beside(toy: Toy, root: Path) -> Toy:
    """Another workspace of the same scans, captioned alike."""
    other = Toy(root, toy.towers)
    other.scans = toy.scans
    other.prepare()
    other.caption()
    return other


def test_chunks_that_are_in_work_together_have_the_bits_of_chunks_one_by_one(
    captioned: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = captioned.embed(), beside(captioned, tmp_path / "there")
    monkeypatch.setitem(ENGINES, "ray", looks_ahead)
    assert there.embed(engine="ray", workers=3) == here
    assert bits(there) == bits(captioned)
    assert len(bits(captioned)) == 3


def test_where_it_ran_is_no_other_run(captioned: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    captioned.embed()
    assert captioned.embed(engine="ray", workers=2).done_before


@pytest.mark.slow
def test_processes_of_this_machine_have_the_bits_of_this_one(captioned: Toy, tmp_path: Path) -> None:
    model, there = save_clip(tmp_path / "clip"), beside(captioned, tmp_path / "there")
    for toy, workers in ((captioned, 1), (there, 2)):
        toy.embed(towers="clip", model=str(model), workers=workers)
    assert bits(there, "clip") == bits(captioned, "clip")


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_ray_cluster_has_the_bits_of_this_machine(
    captioned: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, there = save_clip(tmp_path / "clip"), beside(captioned, tmp_path / "there")
    captioned.embed(towers="clip", model=str(model))
    there.embed(towers="clip", model=str(model), engine="ray", workers=2)
    assert bits(there, "clip") == bits(captioned, "clip")


def test_other_weights_on_another_machine_are_refused(captioned: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[BatchTowers] = []

    def load(device: object) -> BatchTowers:
        loaded.append(BatchTowers())
        loaded[-1].identity = f"weights {len(loaded)}"  # type: ignore[misc]
        return loaded[-1]

    monkeypatch.setitem(TOWERS, "toy", TowerEntry(load, 0, "for tests", "the tests"))
    monkeypatch.setitem(ENGINES, "ray", looks_ahead)
    with pytest.raises(ConfigError, match="the weights of the towers toy differ between the machines"):
        captioned.embed(engine="ray")


def test_a_batch_that_failed_ends_the_run_with_its_reason_and_the_next_run_goes_on(
    captioned: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(function: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Generator[Any, None, None]:
        for number, item in enumerate(items):
            yield function(item) if number == 0 else Failed("too little memory", "use fewer workers")

    with monkeypatch.context() as patch:
        patch.setitem(ENGINES, "ray", fails)
        with pytest.raises(InputError, match="too little memory") as caught:
            captioned.embed(engine="ray")
    assert caught.value.hint == "use fewer workers"
    asked: list[int] = []

    class Counting(BatchTowers):
        def embed_images(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
            asked.append(len(pictures))
            return super().embed_images(pictures)

    monkeypatch.setitem(TOWERS, "toy", TowerEntry(lambda device: Counting(), 0, "for tests", "the tests"))
    captioned.embed()
    assert sum(asked) < 7 * 96 - feature_store.CHUNK_ROWS + 1


@pytest.mark.parametrize("settings", [{"engine": "ray"}, {"workers": 2}])
def test_an_engine_for_a_sample_is_refused_since_it_would_do_nothing(captioned: Toy, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="have no effect with"):
        captioned.embed(when="drawn", **settings)
