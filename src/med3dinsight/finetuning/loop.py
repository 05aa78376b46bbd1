"""The training loop of segmentation: draw crops, mean of cross-entropy and Dice, step, log, save."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import nn

from ..losses.segmentation import segmentation_loss
from ..training.checkpoint import load_checkpoint, save_checkpoint
from ..training.divergence import refuse_divergence
from ..training.precision import autocast
from ..training.run_log import RunLog
from ..training.schedule import warmup_cosine
from ..types import Progress
from .config import FinetuneConfig
from .crops import LabelledVolume, draw_crops

LOG_EVERY = 10


def train(
    network: nn.Module,
    volumes: list[LabelledVolume],
    config: FinetuneConfig,
    folder: Path,
    identity: str,
    device: torch.device,
    progress: Progress,
) -> None:
    """Trains to ``config.steps``, resuming from the folder's checkpoint where there is one of this run."""
    network.to(device).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    first = load_checkpoint(folder / "checkpoint.pt", identity, network, optimizer)
    log = RunLog(folder / "log.jsonl", first)
    started = time.perf_counter()
    for step in range(first, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * warmup_cosine(step, config.steps, config.warmup_steps)
        images, labels = draw_crops(volumes, config, step)
        with autocast(device, config.patch_size):
            scores = network(images.to(device))
        loss = segmentation_loss(scores, labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
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
