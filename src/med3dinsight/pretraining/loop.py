"""The training loop of pre-training: draw, encode, ask, contrast, step, log, save."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..alignment.aligned_encoder import AlignedEncoder
from ..losses.infonce import infonce
from ..readouts.online import embedding_spread, matching_accuracy
from ..training.checkpoint import load_checkpoint, save_checkpoint
from ..training.divergence import refuse_divergence
from ..training.precision import autocast
from ..training.run_log import RunLog
from ..training.schedule import warmup_cosine
from ..types import Progress
from .batches import Batch, Pool, draw_batch
from .config import PretrainConfig
from .methods import Method

LOG_EVERY = 10


@dataclass(frozen=True)
class Trained:
    """What a finished loop tells.

    Attributes:
        final_loss: Mean loss of the last logged steps.
        pairs_per_second: (volume, slice) pairs a second of this process's steps; 0 when none was left to do.
    """

    final_loss: float
    pairs_per_second: float


def alignment_loss(answers: tuple[Tensor, Tensor], batch: Batch, config: PretrainConfig) -> Tensor:
    """InfoNCE to the image and to the text features, summed as in the authors' form."""
    image, text = (side.flatten(0, 1) for side in answers)
    parts = []
    if config.match != "text":
        parts.append(infonce(image, batch.images.to(image.device), config.temperature))
    if config.match != "image":
        parts.append(infonce(text, batch.texts.to(text.device), config.temperature))
    return torch.stack(parts).sum()


def make_optimizer(model: AlignedEncoder, config: PretrainConfig) -> torch.optim.AdamW:
    """AdamW; norms, biases, queries, slopes and position tables are not decayed."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        spared = parameter.ndim < 2 or name == "psat.queries" or "position" in name
        (plain if spared else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def train(
    model: AlignedEncoder,
    pool: Pool,
    config: PretrainConfig,
    method: Method,
    folder: Path,
    identity: str,
    device: torch.device,
    progress: Progress,
) -> Trained:
    """Trains to ``config.steps``, resuming from the folder's checkpoint where there is one of this run."""
    model.to(device).train()
    optimizer = make_optimizer(model, config)
    first = load_checkpoint(folder / "checkpoint.pt", identity, model, optimizer)
    log = RunLog(folder / "log.jsonl", first)
    started, losses = time.perf_counter(), []
    for step in range(first, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * warmup_cosine(step, config.steps, config.warmup_steps)
        batch = draw_batch(pool, config, method.slices_per_volume, step)
        with autocast(device, batch.volumes.shape[-1]):
            answers = model(batch.volumes.to(device), batch.planes.to(device), batch.positions.to(device))
        loss = alignment_loss(answers, batch, config)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
        refuse_divergence(loss, norm, step, folder)
        optimizer.step()
        losses.append(loss.item())
        done = step + 1
        if done % LOG_EVERY == 0 or done == config.steps:
            log.write(
                step=done,
                loss=losses[-1],
                gradient_norm=float(norm),
                learning_rate=optimizer.param_groups[0]["lr"],
                seconds=round(time.perf_counter() - started, 3),
                **_read_out(answers, batch, config),
            )
        if done % config.checkpoint_every == 0 or done == config.steps:
            save_checkpoint(folder / "checkpoint.pt", identity, done, model, optimizer)
        progress(done, config.steps, f"loss {losses[-1]:.2f}")
    pairs = len(losses) * config.batch_volumes * method.slices_per_volume
    rate = pairs / max(time.perf_counter() - started, 1e-9)
    return Trained(_final_loss(folder / "log.jsonl"), rate)


def _read_out(answers: tuple[Tensor, Tensor], batch: Batch, config: PretrainConfig) -> dict[str, float]:
    image, text = (side.detach().flatten(0, 1).float().cpu() for side in answers)
    return {
        "image_accuracy": matching_accuracy(image, batch.images),
        "text_accuracy": matching_accuracy(text, batch.texts),
        "spread": embedding_spread(text if config.match == "text" else image),
    }


def _final_loss(path: Path) -> float:
    from ..training.run_log import read_log

    last = [row["loss"] for row in read_log(path)][-5:]
    return sum(last) / len(last)
