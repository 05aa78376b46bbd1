"""Methods on a toy workspace: crops of 16 voxels of three people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from learned_workspace import copy_of, pretrain_config, what_is_read
from torch import nn

from med3dinsight.pretraining.building import build_objective
from med3dinsight.pretraining.methods import find_method
from med3dinsight.pretraining.pool import Pool
from med3dinsight.pretraining.resolving import resolve
from med3dinsight.pretraining.targets import load_pool
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_store import VoxelStore

SMALL = {"batch_volumes": 4, "slices_per_volume": None, "projection_width": 32, "encoder": "vit_tiny"}


@pytest.fixture
def work(ready_once: Path, tmp_path: Path) -> Workspace:
    """Anna and bert to learn from, cleo held out."""
    return copy_of(ready_once, tmp_path)


@pytest.fixture
def make(ready_once: Path) -> Callable[..., tuple[Any, Pool]]:
    """Builds a method with its pool. Texts are the projected pictures: the toy texts do not tell crops apart."""
    workspace = Workspace(ready_once)

    def build(method: str, **changes: Any) -> tuple[Any, Pool]:
        config = resolve(pretrain_config(method=method, **{**what_is_read(SMALL, {"method": method}), **changes}))
        pool = load_pool(config, workspace, VoxelStore(workspace.prepared), find_method(method).features)
        pool = replace(pool, texts=pool.images)
        return build_objective(config, pool).objective, pool

    return build


@pytest.fixture
def train() -> Callable[..., list[float]]:
    """Takes plain steps on one batch again and again; returns the losses."""

    def steps(objective: Any, pool: Pool, count: int, *, learning_rate: float = 1e-3) -> list[float]:
        assert isinstance(objective, nn.Module)
        optimizer = torch.optim.AdamW([p for p in objective.parameters() if p.requires_grad], lr=learning_rate)
        inputs, losses = objective.draw(pool, 0), []
        for step in range(count):
            torch.manual_seed(step)
            terms = objective.loss(objective.represent(inputs), inputs)
            optimizer.zero_grad()
            terms.total.backward()
            optimizer.step()
            objective.after_step(step)
            losses.append(terms.total.item())
        return losses

    return steps
