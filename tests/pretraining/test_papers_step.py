"""The method ``paper`` against the paper's step, written out plainly in ``benchmarks/papers_step.py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from learned_workspace import Toy, pretrain_config
from torch import nn

from med3dinsight.encoders import create_encoder
from med3dinsight.pretraining.building import build_objective
from med3dinsight.pretraining.gradient_cache import backward
from med3dinsight.pretraining.loop import precision_of
from med3dinsight.pretraining.resolving import resolve
from med3dinsight.pretraining.targets import load_pool
from med3dinsight.workspace.voxel_store import VoxelStore


def load_oracle() -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / "papers_step.py"
    spec = importlib.util.spec_from_file_location("papers_step", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("chunk", [None, 2])
def test_one_slice_a_volume_is_the_papers_step(toy: Toy, chunk: int | None) -> None:
    work = toy.ready("anna", "bert")
    settings = {"slices_per_volume": 1, "psat_dropout": 0.0, "psat_heads": 4, "position_init": "normal"}
    config = resolve(pretrain_config(**settings, method="paper", batch_volumes=5, precision="fp32"))
    pool = load_pool(config, work, VoxelStore(work.prepared), True)
    torch.manual_seed(0)
    objective = build_objective(config, pool, create_encoder("conv_tiny", image_size=16)).objective
    assert isinstance(objective, nn.Module)
    inputs = objective.draw(pool, 0)
    fp32 = precision_of(config, objective, pool, torch.device("cpu"))
    loss = backward(objective, inputs, chunk, 0, fp32)[1].total
    ours = {name: value.grad.clone() for name, value in objective.named_parameters() if value.grad is not None}
    objective.zero_grad()

    psat = dict(objective.model.psat.named_parameters())
    tokens = torch.cat([objective.encoder(volume[None]).tokens for volume in inputs["volumes"]])
    slices = (inputs["positions"][:, 0] * psat["position.table"].shape[1]).long()
    features = inputs["image"][:, 0], inputs["text"][:, 0]
    expected = load_oracle().papers_loss(tokens, psat, 4, inputs["planes"][:, 0], slices, *features)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    learned = {name: value.grad for name, value in objective.named_parameters() if value.grad is not None}
    assert learned.keys() == ours.keys()
    whole = torch.cat([value.flatten() for value in learned.values()])
    assert (torch.cat([ours[name].flatten() for name in learned]) - whole).norm() < 1e-5 * whole.norm()
