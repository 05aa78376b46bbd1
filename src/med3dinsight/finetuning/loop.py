"""The training loop of every task: draw a batch, its loss, step, log, save."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import nn

from ..training.checkpoint import load_checkpoint, save_checkpoint
from ..training.divergence import refuse_divergence
from ..training.precision import autocast
from ..training.run_log import RunLog
from ..training.seeding import step_seed
from ..types import Progress
from .config import FinetuneConfig
from .recipes import RECIPES
from .task import Task

LOG_EVERY = 10


def train(
    network: nn.Module,
    task: Task,
    config: FinetuneConfig,
    folder: Path,
    identity: str,
    device: torch.device,
    progress: Progress,
) -> None:
    """Trains to ``config.steps``, resuming from the folder's checkpoint where there is one of this run."""
    recipe = RECIPES[config.recipe]
    network.to(device).train()
    if config.freeze_encoder:
        network.encoder.eval()  # type: ignore[union-attr]  # its running statistics are frozen too
    supervised = recipe.deep_supervision and hasattr(network, "deep_supervision")
    if supervised:
        network.deep_supervision = True  # type: ignore[assignment]
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = recipe.optimizer(learning, config)
    first = load_checkpoint(folder / "checkpoint.pt", identity, network, optimizer)
    log = RunLog(folder / "log.jsonl", first)
    started = time.perf_counter()
    for step in range(first, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * recipe.rate(step, config)
        inputs, target = task.draw(step)
        # Dropout draws from torch's own generator: without this a resumed run would draw something else.
        torch.manual_seed(step_seed(config.seed, step))
        with autocast(device, config.patch_size):
            output = network(inputs.to(device))
        loss = task.loss(output, target.to(device))
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(learning, config.gradient_clip)
        refuse_divergence(loss, norm, step, folder)
        optimizer.step()
        done = step + 1
        if done % LOG_EVERY == 0 or done == config.steps:
            rate = optimizer.param_groups[0]["lr"]
            seconds = round(time.perf_counter() - started, 3)
            log.write(step=done, loss=loss.item(), learning_rate=rate, seconds=seconds)
        if done % config.checkpoint_every == 0 or done == config.steps:
            save_checkpoint(folder / "checkpoint.pt", identity, done, network, optimizer)
        progress(done, config.steps, f"loss {loss.item():.2f}")
    if supervised:
        network.deep_supervision = False  # type: ignore[assignment]
