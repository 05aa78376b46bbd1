from __future__ import annotations

import resource
import tracemalloc
from pathlib import Path

import pytest
import torch
from torch import nn

from med3dinsight.errors import DiskFullError
from med3dinsight.training.checkpoint import load_checkpoint, save_checkpoint


def make() -> tuple[nn.Module, torch.optim.AdamW]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 1))
    return model, torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)


def advance(model: nn.Module, optimizer: torch.optim.AdamW, first: int, last: int) -> None:
    for step in range(first, last):
        inputs = torch.rand(8, 3, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    undisturbed, optimizer = make()
    advance(undisturbed, optimizer, 0, 6)
    model, optimizer = make()
    advance(model, optimizer, 0, 4)
    save_checkpoint(path, "run", 4, model, optimizer)
    model, optimizer = make()
    assert load_checkpoint(path, "run", model, optimizer) == 4
    advance(model, optimizer, 4, 6)
    for name, value in undisturbed.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_nothing_is_resumed_from_no_file_or_from_another_run(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    model, optimizer = make()
    assert load_checkpoint(path, "run", model, optimizer) == 0
    advance(model, optimizer, 0, 1)
    save_checkpoint(path, "run", 1, model, optimizer)
    fresh, fresh_optimizer = make()
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    assert load_checkpoint(path, "another run", fresh, fresh_optimizer) == 0
    assert all(torch.equal(value, before[name]) for name, value in fresh.state_dict().items())


def test_a_kill_while_saving_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    model, optimizer = make()
    save_checkpoint(path, "run", 1, model, optimizer)

    def killed(source: object, target: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("med3dinsight.workspace.files.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, "run", 2, model, optimizer)
    assert load_checkpoint(path, "run", *make()) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_saving_takes_no_memory_to_speak_of(tmp_path: Path) -> None:
    model = nn.Linear(1000, 1000)
    tracemalloc.start()
    save_checkpoint(tmp_path / "checkpoint.pt", "run", 1, model, torch.optim.AdamW(model.parameters()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "checkpoint.pt").stat().st_size > 4e6
    assert peak < 1e6


@pytest.mark.parametrize("room", [0, 2_000_000])
def test_a_disk_that_is_full_or_fills_is_told_as_one(tmp_path: Path, room: int) -> None:
    """Where some of it had room torch's writer fails a second time, by an error of its own."""
    model = nn.Linear(1000, 1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(DiskFullError):
            save_checkpoint(tmp_path / "checkpoint.pt", "run", 1, model, torch.optim.AdamW(model.parameters()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
