"""Pre-training: prepared volumes, and 2D features where the method matches any -> a 3D encoder."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DivergenceError
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.provenance import RECORD, StageRecord, completed, write_record
from .checking import Checked, Identified, check, identify
from .config import PretrainConfig

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class PretrainResult:
    """What pre-training tells.

    Attributes:
        run, encoder, method: As asked for.
        steps: Optimiser steps; 0 for the method "none".
        final_loss: Mean of the last logged losses; None where nothing was trained.
        pairs_per_second: (volume, slice) pairs a second.
        checkpoint: Path of the encoder's weights.
        collapsed: Whether the embedding had collapsed at the end.
        peak_memory_bytes: Most memory that the process held.
    """

    run: str
    encoder: str
    method: str
    steps: int
    final_loss: float | None
    pairs_per_second: float
    checkpoint: str
    collapsed: bool = False
    peak_memory_bytes: int = 0
    done_before: bool = False


def run(
    config: PretrainConfig, workspace: Workspace, *, progress: Progress = silent, encoder: nn.Module | None = None
) -> PretrainResult:
    """Pre-trains an encoder, or returns at once where this very run is complete.

    Args:
        config: See :class:`PretrainConfig`.
        workspace: Prepared; captioned and embedded where the method matches 2D features.
        progress: Told the steps.
        encoder: A module of your own that follows the encoders' protocol, called ``config.encoder`` from now on; its
            class and its weights are part of what the run is. ``config.init`` is loaded into it, and it is trained in
            place; averaged weights (``config.ema_decay``) are on disk only.

    Returns:
        The run's result; weights are in ``pretraining/RUN/encoder.safetensors``.

    Raises:
        ConfigError: A name is unknown, sizes do not fit, a setting would do nothing, or the module is no encoder.
        DivergenceError: The loss is no longer finite; the hint names the weights of the last good checkpoint.
        InputError: The initial weights do not fit the encoder.
        LeakageError: A subject held out would be seen under another name, or was seen in fitting the projections.
        WorkspaceError: An earlier stage is missing or has been run anew since.
    """
    known = identify(config, workspace, encoder)
    config, folder = known.config, workspace.pretraining / config.run
    if (record := completed(folder, known.identity)) is not None:
        checkpoint = str(folder / "encoder.safetensors")
        return PretrainResult(**{**record.result, "checkpoint": checkpoint, "done_before": True})
    started = time.time()
    checked = check(known, workspace)
    with workspace.lock(f"pretraining-{config.run}"):
        result = _train(known, checked, folder, encoder, progress)
        shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
        write_record(
            folder, StageRecord("pretrain", known.identity, shown, asdict(result), seconds, inputs=known.inputs)
        )
    return result


def _train(
    known: Identified, checked: Checked, folder: Path, encoder: nn.Module | None, progress: Progress
) -> PretrainResult:
    from ..training.memory import peak_resident_bytes
    from .building import build_objective, save_run
    from .last_good import advise, keep_last_good
    from .loop import train

    config, pool = known.config, checked.pool
    built = build_objective(config, pool, encoder)
    # Now that nothing speaks against the run, an earlier one of its name no longer counts.
    (folder / RECORD).unlink(missing_ok=True)
    written = (config, built, pool.crop_size, checked.sighted, known.identity)
    trained = None
    if built.objective is not None:
        built.to(checked.device)
        try:
            watched = (checked.device, checked.watch, progress)
            trained = train(built.objective, built.average, pool, config, folder, known.identity, *watched)
        except DivergenceError as error:
            raise advise(error, keep_last_good(folder, *written), config) from error
    save_run(folder, *written)
    return PretrainResult(
        run=config.run,
        encoder=config.encoder,
        method=config.method,
        steps=config.steps if trained else 0,
        final_loss=trained.final_loss if trained else None,
        pairs_per_second=trained.pairs_per_second if trained else 0.0,
        checkpoint=str(folder / "encoder.safetensors"),
        collapsed=trained.collapsed if trained else False,
        peak_memory_bytes=peak_resident_bytes(),
    )
