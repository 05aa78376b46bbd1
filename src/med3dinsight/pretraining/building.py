"""Builds what a run trains, from its seed, and writes what it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..alignment.aligned_encoder import AlignedEncoder, save_aligned
from ..encoders.registry import create_encoder
from ..encoders.weights import save_weights
from ..training.averaging import WeightAverage
from ..training.seeding import seed_weights
from ..workspace.files import write_json
from .config import PretrainConfig
from .methods import find_method
from .people import Sighted
from .pool import Pool

if TYPE_CHECKING:
    from .objective import Objective


@dataclass(frozen=True)
class Built:
    """What a run trains.

    Attributes:
        encoder: The 3D encoder.
        objective: The method around it; None where nothing is trained.
        average: Its averaged weights, or None.
        own: Whether the encoder is a module of the user's own.
    """

    encoder: nn.Module
    objective: Objective | None
    average: WeightAverage | None
    own: bool = False

    def to(self, device: torch.device) -> None:
        """Moves everything to a device."""
        for part in (self.encoder, self.objective, self.average):
            if isinstance(part, nn.Module):
                part.to(device)


def build_objective(config: PretrainConfig, pool: Pool, encoder: nn.Module | None = None) -> Built:
    """Builds encoder and method from the seed; the encoder's draws come first, so that all methods start alike.

    Raises:
        ConfigError: Names, sizes or settings do not fit, or the user's own module is no encoder.
        InputError: The initial weights do not fit the encoder.
    """
    method = find_method(config.method)
    seed_weights(config.seed)
    own = encoder is not None
    chosen = config.encoder if encoder is None else encoder
    encoder = create_encoder(chosen, image_size=pool.crop_size, pretrained=config.init)
    if method.build is None:
        return Built(encoder, None, None, own)
    objective = method.build(config, encoder, pool)
    average = WeightAverage(kept_of(objective), config.ema_decay) if config.ema_decay else None
    return Built(encoder, objective, average, own)


def kept_of(objective: Objective) -> nn.Module:
    """Returns what a run leaves on disk: the encoder with PSAT where the method has one, else the encoder alone."""
    model = getattr(objective, "model", None)
    return model if isinstance(model, AlignedEncoder) else objective.encoder


def save_run(
    folder: Path, config: PretrainConfig, built: Built, image_size: int, sighted: Sighted, identity: str
) -> None:
    """Writes the weights of encoder and PSAT, averaged both where that was asked for, and ``encoder.json``."""
    method = find_method(config.method)
    matched = method.features
    match: str | None = "text" if method.texts_only else config.match
    if config.no_text:
        match = None if method.texts_only else "image"
    facts: dict[str, Any] = {
        "captioner": config.captioner if matched else None,
        "towers": config.towers if matched else None,
        "own_module": built.own,
        "match": match if matched else None,
        "method": config.method,
        "method_kind": method.kind,
        "method_source": method.source,
        "no_text": config.no_text,
        "shuffled_pairs": config.shuffled_pairs,
        "seed": config.seed,
        "run": config.run,
        "fingerprint": identity,
        **sighted.seen.as_json(),
    }
    if sighted.labels is not None:
        facts["caption_labels"] = sighted.labels.as_json()
    kept = built.encoder if built.objective is None else kept_of(built.objective)
    if built.average is not None:
        kept = built.average.module
    if isinstance(kept, AlignedEncoder):
        save_aligned(folder, kept, {**facts, "encoder": config.encoder})
        return
    facts = {"encoder": config.encoder, "image_size": image_size, "psat": None, **facts}
    save_weights(folder / "encoder.safetensors", kept, facts)
    write_json(folder / "encoder.json", facts)
