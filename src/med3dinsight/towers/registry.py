"""2D towers by name. To add a pair: write its file, add one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import suggest
from ..errors import ConfigError

if TYPE_CHECKING:
    import torch

    from .tower import TowerPair


@dataclass(frozen=True)
class TowerEntry:
    """One pair of towers that can be named.

    Attributes:
        load: ``device -> pair``; imports torch when it is called.
        parameters: Parameters of both towers.
        kind: What they are, in a few words.
        source: Where the weights come from.
    """

    load: Callable[[torch.device], TowerPair]
    parameters: int
    kind: str
    source: str


def _minilm_lite(device: torch.device) -> TowerPair:
    from .minilm_lite import MiniLMLite

    return MiniLMLite(device)


TOWERS: dict[str, TowerEntry] = {
    "minilm-lite": TowerEntry(
        _minilm_lite,
        22_713_216 + 3_371_008,
        "general text + ImageNet image tower, a stand-in for a medical CLIP",
        "all-MiniLM-L6-v2 and EfficientNet-Lite0, Apache-2.0, from registry packages",
    ),
}


def check_name(name: str) -> None:
    """Checks that a pair of towers exists.

    Raises:
        ConfigError: It does not; the hint names the nearest one.
    """
    if name not in TOWERS:
        raise ConfigError(f"no towers called {name}", suggest(name, TOWERS))


def load_towers(name: str, device: torch.device) -> TowerPair:
    """Loads a pair of towers by name.

    Raises:
        ConfigError: No towers have that name.
        DownloadError: Their weights cannot be fetched or verified.
    """
    check_name(name)
    return TOWERS[name].load(device)


def list_towers() -> list[dict[str, Any]]:
    """Returns a row for each pair: name, parameters, tokens, kind, source."""
    return [
        {"name": name, "parameters": e.parameters, "tokens": None, "kind": e.kind, "source": e.source}
        for name, e in TOWERS.items()
    ]
