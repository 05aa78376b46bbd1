"""What a run is, and all that is refused before it trains: a run and its dry run ask the same two functions."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..encoders.registry import check_name
from ..encoders.seen import warn_where_unknown
from ..encoders.texts_seen import labels_seen
from ..towers.registry import check_name as check_towers
from ..workspace import Workspace
from ..workspace.caption_store import LEDGER, CaptionStore
from ..workspace.provenance import fingerprint
from ..workspace.voxel_store import VoxelStore
from .config import PretrainConfig
from .methods import find_method
from .people import Sighted, refuse_fitted, refuse_labels, refuse_seen, seen_by, training_cases
from .resolving import resolve

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .loop import Watch
    from .pool import Pool

STAGE_VERSION = 4


@dataclass(frozen=True)
class Identified:
    """A run that could be there already.

    Attributes:
        config: Resolved settings.
        identity: Fingerprint of all that decides the result.
        inputs: Fingerprints of what is read.
        embedded_without: Whom the projections of the 2D features were not fitted on; None where none are matched.
    """

    config: PretrainConfig
    identity: str
    inputs: dict[str, str]
    embedded_without: list[str] | None


@dataclass(frozen=True)
class Checked:
    """What a run trains on, when nothing speaks against it.

    Attributes:
        pool: What its steps draw from.
        sighted: Whom its encoder will have seen.
        device: Where it computes.
        watch: Reads out while it trains; None where nobody is watched.
    """

    pool: Pool
    sighted: Sighted
    device: torch.device
    watch: Watch | None


def identify(config: PretrainConfig, workspace: Workspace, encoder: nn.Module | None = None) -> Identified:
    """Says what a run is, without torch unless a module is given.

    Two modules of the user's own are two runs unless they are of one class and hold the same weights.

    Raises:
        ConfigError: A name is unknown, or the settings do not go together.
        WorkspaceError: An earlier stage is missing or has been run anew since.
    """
    if encoder is None:
        check_name(config.encoder)
    config = resolve(config)
    inputs, embedded_without = _inputs(config, workspace)
    drawn = None if find_method(config.method).features else _crops_hash(workspace)
    parts: list[Any] = [_settings(config), inputs, _weights_hash(config.init), drawn]
    if encoder is not None:
        parts.append(_module_hash(encoder))
    return Identified(config, fingerprint("pretrain", STAGE_VERSION, *parts), inputs, embedded_without)


def check(run: Identified, workspace: Workspace) -> Checked:
    """Gathers what a run trains on, and refuses what must not or cannot be trained on.

    What only the encoder and the method can know is refused when they are built, which a dry run does too.

    Raises:
        ConfigError: There is no such device, crop, person or label, or TensorBoard is missing.
        InputError: Nothing is left to train on.
        LeakageError: A subject held out would be seen under another name, or was seen in fitting the projections,
            or texts were made from its label map.
    """
    from ..training.precision import choose_device, limit_threads
    from ..training.run_log import require_tensorboard
    from .targets import load_pool
    from .watching import watcher

    config, store = run.config, VoxelStore(workspace.prepared)
    cases, seen = training_cases(store.cases, config.held_out), seen_by(config.init)
    refuse_seen(store.cases.values(), config.held_out, seen, config.init)
    warn_where_unknown(seen, str(config.init))
    if run.embedded_without is not None:
        refuse_fitted(config.held_out, run.embedded_without)
    labels = labels_seen(workspace.captions / config.captioner) if find_method(config.method).features else None
    refuse_labels(store.cases.values(), config.held_out, labels, config.captioner)
    device = choose_device(config.device)
    limit_threads(config.threads)
    if config.tensorboard:
        require_tensorboard()
    pool = load_pool(config, workspace, store, find_method(config.method).features)
    return Checked(pool, Sighted(cases, seen, labels), device, watcher(config, workspace, pool.crop_size, device))


def _settings(config: PretrainConfig) -> dict[str, Any]:
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


def _module_hash(module: nn.Module) -> str:
    """Hash of a module's class and weights, as they are now."""
    from ..alignment.aligned_encoder import class_name
    from ..encoders.weights import weights_bytes

    return hashlib.sha256(class_name(module).encode() + weights_bytes(module)).hexdigest()


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
