"""Where the weights come from: scratch, a pre-training run or a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..encoders.file_kinds import SUFFIXES
from ..encoders.published_weights import PUBLISHED, fetch_published
from ..encoders.seen import Seen, facts_of, seen_in
from ..errors import ConfigError
from ..workspace import Workspace
from ..workspace.files import read_json, write_json
from .config import FinetuneConfig

if TYPE_CHECKING:
    from torch import nn

DEFAULT_NETWORK = "conv_tiny"
KINDS = "give scratch, the name of a pre-training run, a file of weights, or a name of published weights"
#: What became of every tensor of weights that are not strictly ours, in the run's folder.
LOADING = "initial_weights.json"


@dataclass(frozen=True)
class Init:
    """Where the weights come from.

    Attributes:
        network: Name of the network.
        weights: Encoder weights, or None from scratch.
        identity: Changes with the weights.
        facts: Those of the pre-training run, or None where the weights tell nothing or there are none.
    """

    network: str
    weights: Path | None
    identity: str
    facts: dict[str, Any] | None

    @property
    def seen(self) -> Seen:
        """Whom the weights have seen; from scratch nobody."""
        return Seen() if self.weights is None else seen_in(self.facts)


def find_init(config: FinetuneConfig, workspace: Workspace) -> Init:
    """Finds the initial weights.

    Raises:
        ConfigError: ``config.init`` is neither scratch, nor the name of a run, nor a file with a named network.
        DownloadError: Published weights cannot be fetched or verified.
        WorkspaceError: The pre-training run is not complete.
    """
    if config.init == "scratch":
        return Init(config.network or DEFAULT_NETWORK, None, "scratch", None)
    if config.init.endswith(SUFFIXES):
        return _from_file(config, Path(config.init))
    if "/" in config.init:
        raise ConfigError(f"{config.init} is no initialisation", KINDS)
    folder = workspace.pretraining / config.init
    if config.init in PUBLISHED and not folder.exists():
        weights = PUBLISHED[config.init]
        return Init(config.network or weights.encoder, fetch_published(config.init), weights.sha256, None)
    record = workspace.require(folder, f"pretrain --run {config.init}")
    facts = read_json(folder / "encoder.json")
    return Init(config.network or facts["encoder"], folder / "encoder.safetensors", record.fingerprint, facts)


def _from_file(config: FinetuneConfig, path: Path) -> Init:
    if not path.exists():
        raise ConfigError(f"no such weights: {path}", KINDS)
    facts = facts_of(path) or {}
    network = config.network or facts.get("encoder") or facts.get("network")
    if network is None:
        raise ConfigError("weights from a file need a network", "add --set finetune.network=NAME")
    return Init(network, path, hashlib.sha256(path.read_bytes()).hexdigest(), facts or None)


def build_network(config: FinetuneConfig, init: Init, num_classes: int, folder: Path) -> nn.Module:
    """Builds the network from the seed; a pre-trained encoder replaces the seeded one.

    The scratch twin draws the same decoder: both are built from the same seed before weights are loaded.

    Args:
        config: Task, seed, size of the input, and whether the encoder is frozen.
        init: Where the weights come from.
        num_classes: Classes; for segmentation with background.
        folder: Of the run; where the weights are not strictly ours, ``initial_weights.json`` says what became of every
            tensor.

    Raises:
        ConfigError: The network has no encoder, and one is to be loaded or frozen.
        InputError: Too little of the encoder is in the weights.
    """
    from ..encoders.loading import load_pretrained
    from ..networks.registry import create_network
    from ..training.seeding import seed_weights

    seed_weights(config.seed)
    network = create_network(init.network, num_classes, task=config.task, image_size=config.patch_size)
    if (init.weights is not None or config.freeze_encoder) and not hasattr(network, "encoder"):
        raise ConfigError(
            f"{init.network} has no encoder that could be loaded or frozen",
            "use --init scratch without finetune.freeze_encoder, or the network of an encoder",
        )
    if init.weights is not None:
        report = load_pretrained(network.encoder, init.weights)  # type: ignore[arg-type]
        if not report.exact:
            write_json(folder / LOADING, report.as_json())
    if config.freeze_encoder:
        network.encoder.requires_grad_(False)
    return network
