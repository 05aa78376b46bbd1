"""The engine ray, on a real Ray of two workers on this machine."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import item_functions
import pytest

from med3dinsight.engines import ENGINES, Failed
from med3dinsight.engines.ray_engine import _Tasks
from med3dinsight.errors import ConfigError, DiskFullError


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="not installed") as error:
        list(ENGINES["ray"](item_functions.double, [1], 2))
    assert error.value.hint == "pip install 'med3dinsight[ray]'"


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        list(ENGINES["ray"](item_functions.double, [1], 2))


@pytest.mark.parametrize("error", ["NodeDiedError", "ObjectLostError", "WorkerCrashedError"])
def test_a_task_whose_node_or_result_is_lost_is_tried_once_more(error: str) -> None:
    kinds = {
        name: type(name, (Exception,), {})
        for name in ("NodeDiedError", "ObjectLostError", "WorkerCrashedError", "OutOfMemoryError", "RayTaskError")
    }
    lost = {"a": 1, "b": 2}

    def get(item: str) -> str:
        if lost.get(item, 0) > 0:
            lost[item] -= 1
            raise kinds[error]
        return item

    cluster = SimpleNamespace(
        exceptions=SimpleNamespace(**kinds),
        put=lambda function: function,
        remote=lambda **_: lambda _: SimpleNamespace(remote=lambda _, item: item),
        wait=lambda references, **_: (references, []),
        get=get,
    )
    results = list(_Tasks(cluster, item_functions.double, 1).run("abc"))  # type: ignore[arg-type]
    assert [results[0], results[2]] == ["a", "c"]
    assert isinstance(results[1], Failed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_the_same_results_as_here_and_every_failure_is_a_value(cluster: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert list(ENGINES["ray"](item_functions.double, range(11), 2)) == [2 * item for item in range(11)]
    assert "one of 2 cores is started" in capfd.readouterr().err
    assert not cluster.is_initialized()
    cluster.init(address="local", num_cpus=2, include_dashboard=False)
    try:
        results = list(ENGINES["ray"](item_functions.fail, ["a", "input", "memory", "bug", "b"], 2))
        assert results == list(ENGINES["local"](item_functions.fail, ["a", "input", "memory", "bug", "b"], 1))
        results = list(ENGINES["ray"](item_functions.die, ["a", "deadly", "b", "c"], 0))
        assert [result for result in results if not isinstance(result, Failed)] == ["a", "b", "c"]
        assert "ended twice" in results[1].reason
        with pytest.raises(DiskFullError, match="no space"):
            list(ENGINES["ray"](item_functions.fail, ["a", "disk", "b"], 2))
        assert cluster.is_initialized(), "the caller's connection stays"
    finally:
        cluster.shutdown()
