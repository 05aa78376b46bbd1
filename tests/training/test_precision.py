from __future__ import annotations

import pytest
import torch

from med3dinsight.errors import ConfigError
from med3dinsight.training import precision
from med3dinsight.training.precision import SMALLEST_BF16_EDGE, autocast, choose_device, limit_threads

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpus", ""])
def test_a_device_nobody_has_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"no device called {name}") as caught:
        choose_device(name)
    assert "cuda:N" in caught.value.hint


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, chosen in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto").type == chosen


def test_a_gpu_that_is_not_there_is_refused_and_one_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="this machine has no cuda"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ConfigError, match="this machine has no cuda:2"):
        choose_device("cuda:2")


@pytest.mark.parametrize(
    ("machine_has", "edge", "expected"),
    [
        (True, None, torch.bfloat16),
        (True, SMALLEST_BF16_EDGE, torch.bfloat16),
        (True, SMALLEST_BF16_EDGE - 1, torch.float32),
        (False, None, torch.float32),
        (False, 64, torch.float32),
    ],
)
def test_bf16_is_used_where_the_machine_has_it_and_the_crop_is_large_enough(
    monkeypatch: pytest.MonkeyPatch, machine_has: bool, edge: int | None, expected: torch.dtype
) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: machine_has)
    with autocast(CPU, edge):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


def test_threads_are_limited_only_where_asked() -> None:
    before = torch.get_num_threads()
    try:
        limit_threads(0)
        assert torch.get_num_threads() == before
        limit_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
