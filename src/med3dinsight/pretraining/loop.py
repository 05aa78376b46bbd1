"""The training loop of pre-training, the same for every method: draw, represent, lose, step, log, save."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..training.averaging import WeightAverage
from ..training.checkpoint import load_checkpoint, save_checkpoint
from ..training.divergence import refuse_divergence
from ..training.precision import autocast
from ..training.run_log import RunLog, read_log
from ..training.schedule import warmup_constant, warmup_cosine
from ..training.seeding import step_seed
from ..types import Progress
from .building import kept_of
from .collapse import listening, tell_spread
from .config import PretrainConfig
from .gradient_cache import backward
from .objective import Inputs, Objective, Represented, Terms
from .pool import Pool
from .recipes import Recipe

LOG_EVERY = 10
#: What is spared of weight decay: position tables, learnable tokens and queries; norms and biases are vectors.
_SPARED = ("queries", "position", "_token")

#: From what is kept of a run to a row of the log.
Watch = Callable[[nn.Module], dict[str, Any]]


@dataclass(frozen=True)
class Trained:
    """What a finished loop tells.

    Attributes:
        final_loss: Mean loss of the last logged steps.
        pairs_per_second: (volume, slice) pairs a second of this process's steps; 0 when none was left to do.
        collapsed: Whether the last logged embedding had collapsed; no where the run ended with its warm-up.
    """

    final_loss: float
    pairs_per_second: float
    collapsed: bool


def make_optimizer(objective: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over what learns, with what it spares of weight decay in a group of its own."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            spared = recipe.decayed == "matrices" and (parameter.ndim < 2 or any(word in name for word in _SPARED))
            (plain if spared else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind([group for group in groups if group["params"]], lr=recipe.learning_rate, fused=True)


def train(
    objective: Objective,
    average: WeightAverage | None,
    pool: Pool,
    config: PretrainConfig,
    folder: Path,
    identity: str,
    device: torch.device,
    watch: Watch | None,
    progress: Progress,
) -> Trained:
    """Trains to ``config.steps``, resuming from the folder's checkpoint where there is one of this run.

    Args:
        objective: The method, on the device.
        average: Averaged weights of what is kept of it, or None.
        pool: What steps draw from.
        config: Resolved settings.
        folder: The run's folder.
        identity: Fingerprint of the run.
        device: Where is computed.
        watch: Reads out of what is kept, the averages where there are any, every ``config.readout_every`` steps.
        progress: Told the steps.
    """
    assert isinstance(objective, nn.Module)
    recipe = config.recipe
    optimizer = make_optimizer(objective, recipe)
    state = state_of(objective, average)
    first = load_checkpoint(folder / "checkpoint.pt", identity, state, optimizer)
    log = RunLog(folder / "log.jsonl", first, tensorboard=folder / "tensorboard" if config.tensorboard else None)
    started, done, note = time.perf_counter(), first, ""
    for step in range(first, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _rate(recipe, step, config.steps)
        with listening(objective.encoder) as heard:
            inputs, represented, terms, norm = gradient_step(objective, optimizer, pool, config, step, device)
        refuse_divergence(terms.total, norm, step, folder)
        optimizer.step()
        objective.after_step(step)
        if average is not None:
            average.update(kept_of(objective))
        done, loss = step + 1, terms.total.item()
        if done % LOG_EVERY == 0 or done == config.steps:
            rate, seconds = optimizer.param_groups[0]["lr"], round(time.perf_counter() - started, 3)
            row = {"gradient_norm": float(norm), "learning_rate": rate, "seconds": seconds}
            told = tell(objective, represented, inputs, terms)
            told |= tell_spread(heard, represented, told, warm=done > recipe.warmup_steps)
            note = "; the embedding has COLLAPSED" if told.get("collapsed") else ""
            log.write(step=done, loss=loss, **row, **told)
        if watch is not None and (done % config.readout_every == 0 or done == config.steps):
            log.write(step=done, **watch(kept_of(objective) if average is None else average.module))
        if done % config.checkpoint_every == 0 or done == config.steps:
            save_checkpoint(folder / "checkpoint.pt", identity, done, state, optimizer)
        progress(done, config.steps, f"loss {loss:.2f}{note}")
    log.close()
    pairs = (done - first) * recipe.batch_volumes * objective.pairs_per_volume
    return _sum_up(folder / "log.jsonl", pairs / max(time.perf_counter() - started, 1e-9))


def state_of(objective: Objective, average: WeightAverage | None) -> nn.Module:
    """Returns all modules whose state a checkpoint holds."""
    assert isinstance(objective, nn.Module)
    return nn.ModuleDict({"objective": objective, **({"average": average} if average is not None else {})})


def _rate(recipe: Recipe, step: int, steps: int) -> float:
    """Returns the factor on the peak learning rate."""
    if recipe.schedule == "cosine":
        return warmup_cosine(step, steps, recipe.warmup_steps)
    return warmup_constant(step, recipe.warmup_steps)


def gradient_step(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    pool: Pool,
    config: PretrainConfig,
    step: int,
    device: torch.device,
    computed_on: torch.device | None = None,
) -> tuple[Inputs, Represented, Terms, Tensor]:
    """Draws a step's batch and computes its gradient, clipped.

    Args:
        objective: The method, on the device.
        optimizer: Knows what learns.
        pool: What is drawn from.
        config: Resolved settings.
        step: Number of the step.
        device: Where the tensors are.
        computed_on: The device whose precision is taken; ``device`` itself unless a step is only forecast.

    Returns:
        Inputs, representations, the loss, and the gradient's norm before it was clipped.
    """
    assert isinstance(objective, nn.Module)
    objective.train()
    inputs = {name: value.to(device) for name, value in objective.draw(pool, step).items()}
    optimizer.zero_grad()
    precision = precision_of(config, objective, pool, computed_on or device)
    represented, terms = backward(objective, inputs, config.micro_batch, step_seed(config.seed, step), precision)
    learning = [value for group in optimizer.param_groups for value in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(learning, config.recipe.gradient_clip or math.inf)
    return inputs, represented, terms, norm


def precision_of(
    config: PretrainConfig, objective: Objective, pool: Pool, device: torch.device
) -> Callable[[], AbstractContextManager[object]]:
    """Returns what makes the mixed-precision context of a run."""
    if config.precision == "fp32":
        return contextlib.nullcontext
    # Some methods also encode smaller cubes than the crops, and small maps do not bear bf16 on CPUs.
    edge = getattr(objective, "inner_edge", None) or pool.crop_size
    return lambda: autocast(device, edge)


def tell(objective: Objective, represented: Represented, inputs: Inputs, terms: Terms) -> dict[str, Any]:
    """Returns what the log says of a step."""
    told: dict[str, Any] = {f"loss_{name}": value.item() for name, value in terms.parts.items()}
    if terms.floor:
        told["loss_above_floor"] = terms.total.item() - terms.floor
    return told | objective.read_out(represented, inputs)


def _sum_up(path: Path, rate: float) -> Trained:
    rows = [row for row in read_log(path) if "loss" in row][-5:]
    return Trained(sum(row["loss"] for row in rows) / len(rows), rate, bool(rows[-1].get("collapsed", False)))
