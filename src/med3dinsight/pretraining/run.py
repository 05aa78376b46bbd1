"""Pre-training: prepared volumes, and 2D features where the method matches any -> a 3D encoder."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..encoders.registry import check_name
from ..encoders.seen import warn_where_unknown
from ..towers.registry import check_name as check_towers
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.caption_store import LEDGER, CaptionStore
from ..workspace.provenance import RECORD, StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import VoxelStore
from .config import PretrainConfig
from .methods import find_method
from .people import Sighted, refuse_fitted, refuse_seen, seen_by, training_cases
from .resolving import resolve

if TYPE_CHECKING:
    from torch import nn

STAGE_VERSION = 4


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
        encoder: A module of your own that follows the encoders' protocol, called ``config.encoder`` from now on. It
            is trained in place; averaged weights (``config.ema_decay``) are on disk only.

    Returns:
        The run's result; weights are in ``pretraining/RUN/encoder.safetensors``.

    Raises:
        ConfigError: A name is unknown or sizes do not fit.
        DivergenceError: The loss is no longer finite.
        LeakageError: A subject held out would be seen under another name, or was seen in fitting the projections.
        WorkspaceError: An earlier stage is missing or has been run anew since.
    """
    if encoder is None:
        check_name(config.encoder)
    config = resolve(config)
    folder = workspace.pretraining / config.run
    inputs, held_out_of_features = _inputs(config, workspace)
    drawn = None if find_method(config.method).features else _crops_hash(workspace)
    identity = fingerprint("pretrain", STAGE_VERSION, _identity(config), inputs, _weights_hash(config.init), drawn)
    if (record := completed(folder, identity)) is not None:
        checkpoint = str(folder / "encoder.safetensors")
        return PretrainResult(**{**record.result, "checkpoint": checkpoint, "done_before": True})
    started = time.time()
    store = VoxelStore(workspace.prepared)
    cases = training_cases(store.cases, config.held_out)
    seen = seen_by(config.init)
    refuse_seen(store.cases.values(), config.held_out, seen, config.init)
    warn_where_unknown(seen, str(config.init))
    if held_out_of_features is not None:
        refuse_fitted(config.held_out, held_out_of_features)
    with workspace.lock(f"pretraining-{config.run}"):
        (folder / RECORD).unlink(missing_ok=True)
        result = _train(config, workspace, store, Sighted(cases, seen), identity, encoder, progress)
        shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
        write_record(folder, StageRecord("pretrain", identity, shown, asdict(result), seconds, inputs=inputs))
    return result


def _identity(config: PretrainConfig) -> dict[str, Any]:
    """Returns what decides the result, PSAT's preset among it."""
    from ..alignment.presets import PSAT_PRESETS
    from .psat_choices import psat_settings

    psat = asdict(psat_settings(config)) if config.method in PSAT_PRESETS else None
    return {**config.identity(), "psat": psat}


def _crops_hash(workspace: Workspace) -> str | None:
    """Hash of the slice table, whose crops methods without 2D features draw; None where there is none."""
    if not (workspace.captions / LEDGER).exists():
        return None
    with CaptionStore(workspace.captions) as ledger:
        return fingerprint(sorted({(ref.crop.case, *ref.crop.origin, ref.crop.size) for ref in ledger.slices()}))


def _weights_hash(weights: str | None) -> str | None:
    """Hash of a file of initial weights; names of published weights stand for themselves."""
    path = Path(weights) if weights else None
    return hashlib.sha256(path.read_bytes()).hexdigest() if path is not None and path.is_file() else weights


def _inputs(config: PretrainConfig, workspace: Workspace) -> tuple[dict[str, str], list[str] | None]:
    """Returns the fingerprints of what is read, and whom the projections of the 2D features were not fitted on."""
    inputs = {"prepared": workspace.require(workspace.prepared, "prepare").fingerprint}
    if not find_method(config.method).features:
        return inputs, None
    features = f"features/{config.towers}/{config.captioner}"
    if not (workspace.features / config.towers).exists():
        check_towers(config.towers)
    verb = f"embed --towers {config.towers} --captioner {config.captioner}"
    embedded = workspace.require_current(workspace.root / features, verb)
    return {**inputs, features: embedded.fingerprint}, list(embedded.config["held_out"])


def _train(
    config: PretrainConfig,
    workspace: Workspace,
    store: VoxelStore,
    sighted: Sighted,
    identity: str,
    encoder: nn.Module | None,
    progress: Progress,
) -> PretrainResult:
    from ..training.memory import peak_resident_bytes
    from ..training.precision import choose_device, limit_threads
    from .building import build_objective, save_run
    from .loop import train
    from .targets import load_pool
    from .watching import watcher

    device = choose_device(config.device)
    limit_threads(config.threads)
    folder, method = workspace.pretraining / config.run, find_method(config.method)
    pool = load_pool(config, workspace, store, method.features)
    built = build_objective(config, pool, encoder)
    trained = None
    if built.objective is not None:
        built.to(device)
        watch = watcher(config, workspace, pool.crop_size, device)
        trained = train(built.objective, built.average, pool, config, folder, identity, device, watch, progress)
    save_run(folder, config, built, pool.crop_size, sighted, identity)
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
