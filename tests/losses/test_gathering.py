"""Two processes with half of the pairs each, against one with all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from med3dinsight.losses.alignment import ALIGNMENT_LOSSES, AlignmentSettings, build_alignment_loss
from med3dinsight.losses.gathering import gather

SOURCE = Path(__file__).parents[2] / "src"
PROCESS = """
import sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from test_gathering import Aligned, pairs, settings_of
from med3dinsight.errors import InputError
from med3dinsight.losses.alignment import ALIGNMENT_LOSSES
from med3dinsight.losses.gathering import gather

rank = int(sys.argv[4])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[3]}/meeting", rank=rank, world_size=2)
inputs, targets = (side[rank * 4 : rank * 4 + 4] for side in pairs())
found = {}
for name in ALIGNMENT_LOSSES:
    model = DistributedDataParallel(Aligned(name))
    loss = model(inputs, targets)
    loss.backward()
    found[name] = [loss.detach(), *(parameter.grad for parameter in model.parameters())]
try:
    gather(inputs[: 3 - rank])
except InputError as error:
    found["uneven"] = str(error)
torch.save(found, f"{sys.argv[3]}/{rank}.pt")
dist.destroy_process_group()
"""


class Aligned(nn.Module):
    """A linear map before a loss, all of whose parameters are learned."""

    def __init__(self, name: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.map = nn.Linear(5, 6, bias=False)
        self.loss = build_alignment_loss(6, settings_of(name))

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.loss(self.map(inputs), targets)


def settings_of(name: str) -> AlignmentSettings:
    return AlignmentSettings(name, metric="psd", regularization=0.1, mass=0.8, learn_temperature=True, temperature=0.2)


def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 5, generator=generator), torch.randn(8, 6, generator=generator)


def test_two_processes_find_the_loss_and_gradients_of_one_with_all_pairs(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROCESS, str(SOURCE), str(Path(__file__).parent), str(tmp_path)]
    processes = [
        subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True, cwd=tmp_path) for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    both = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for found in both:
        assert found["uneven"].startswith("processes hold [3, 2] pairs")
    for name in ALIGNMENT_LOSSES:
        model = Aligned(name)
        loss = model(*pairs())
        loss.backward()
        expected = [loss.detach(), *(parameter.grad for parameter in model.parameters())]
        assert len(expected) == (4 if name == "sigmoid" else 3)
        for found in both:
            for value, right in zip(found[name], expected, strict=True):
                assert torch.allclose(value, right, rtol=1e-4, atol=1e-6), name


def test_one_process_keeps_its_rows_as_they_are() -> None:
    rows = torch.randn(3, 2)
    assert gather(rows) is rows


@pytest.fixture(autouse=True)
def no_group() -> None:
    assert not torch.distributed.is_initialized()
