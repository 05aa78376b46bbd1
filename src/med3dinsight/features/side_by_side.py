"""Frozen towers in several processes, or on a Ray cluster: the same batches in the same order, and so the same bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engines import ENGINES, Failed, usable_cores
from ..errors import ConfigError, InputError, Med3DInsightError
from ..targets.batches import EmbedEach, features_of, here
from ..towers.registry import load_towers
from ..towers.tower import TowerPair
from ..training.precision import choose_device
from ..workspace.feature_memo import Kind
from .config import EmbedConfig


@dataclass(frozen=True)
class TowerWork:
    """Embeds a batch; can be sent to another process, which loads the towers itself, once.

    Attributes:
        kind: Of the image or of the text tower.
        identity: Of the towers of the process that sends.
        towers: A name of the registry.
        model: As in the settings.
        hub: As in the settings.
        device: As in the settings.
    """

    kind: Kind
    identity: str
    towers: str
    model: str
    hub: bool
    device: str

    def __call__(self, batch: list[Any]) -> NDArray[np.float16]:
        """Returns the features of the batch, ``(n, d)``.

        Raises:
            ConfigError: The towers are other ones there.
        """
        towers = _loaded(self.towers, self.model, self.hub, self.device)
        if towers.identity != self.identity:
            raise ConfigError(
                f"the weights of the towers {self.towers} differ between the machines that embed",
                "give all of them the same model under the same path",
            )
        return features_of(towers, self.kind, batch)


@lru_cache(maxsize=1)
def _loaded(name: str, model: str, hub: bool, device: str) -> TowerPair:
    return load_towers(name, choose_device(device), model=model, hub=hub)


def embedder(config: EmbedConfig, towers: TowerPair, kind: Kind) -> EmbedEach:
    """Returns what embeds batches as the settings say: here, in processes, or on a cluster."""
    if config.engine == "local" and config.workers == 1:
        return here(towers, kind)
    workers = config.workers if config.engine == "ray" else config.workers or usable_cores()
    work = TowerWork(kind, towers.identity, config.towers, config.model, config.hub, config.device)

    def run(batches: Iterable[list[Any]]) -> Iterator[NDArray[np.float16]]:
        with closing(ENGINES[config.engine](work, batches, workers)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, Failed):
                    raise (InputError if outcome.expected else Med3DInsightError)(outcome.reason, outcome.hint)
                yield outcome

    return run
