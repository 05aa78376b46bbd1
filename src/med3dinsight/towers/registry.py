"""2D towers by name. To add a pair: write its file, add one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import suggest
from ..errors import ConfigError
from .model_folder import find_model, model_identity

if TYPE_CHECKING:
    import torch

    from .tower import TowerPair


@dataclass(frozen=True)
class TowerEntry:
    """One pair of towers that can be named.

    Attributes:
        load: ``device -> pair``, or ``(folder, device) -> pair`` where a model must be given; imports torch
            when called.
        parameters: Parameters of both towers; None where the model decides.
        kind: What they are, in a few words.
        source: Where the weights come from.
        needs_model: The weights are those of a folder that the user names.
        joint: Pictures and texts share a space, which fine-tuning can better.
    """

    load: Callable[..., TowerPair]
    parameters: int | None
    kind: str
    source: str
    needs_model: bool = False
    joint: bool = False


def _minilm_lite(device: torch.device) -> TowerPair:
    from .minilm_lite import MiniLMLite

    return MiniLMLite(device)


def _clip(folder: Path, device: torch.device) -> TowerPair:
    from .contrastive import ContrastiveTowers

    return ContrastiveTowers(folder, "clip", device)


def _siglip(folder: Path, device: torch.device) -> TowerPair:
    from .contrastive import ContrastiveTowers

    return ContrastiveTowers(folder, "siglip", device)


def _dinov3(folder: Path, device: torch.device) -> TowerPair:
    from .image_only import ImageOnlyTowers

    return ImageOnlyTowers(folder, device)


def _biomedclip(folder: Path, device: torch.device) -> TowerPair:
    from .biomedclip import BiomedClip

    return BiomedClip(folder, device)


def _open_clip(folder: Path, device: torch.device) -> TowerPair:
    from .open_clip_towers import OpenClipTowers

    return OpenClipTowers(folder, device)


def _from_folder(load: Callable[[Path, torch.device], TowerPair], kind: str, *, joint: bool = True) -> TowerEntry:
    return TowerEntry(load, None, kind, "the folder embed.model", needs_model=True, joint=joint)


TOWERS: dict[str, TowerEntry] = {
    "minilm-lite": TowerEntry(
        _minilm_lite,
        22_713_216 + 3_371_008,
        "general text + ImageNet image tower, a stand-in for a medical CLIP",
        "all-MiniLM-L6-v2 and EfficientNet-Lite0, Apache-2.0, from registry packages",
    ),
    "clip": _from_folder(_clip, "CLIP of transformers, pictures and texts in one space"),
    "siglip": _from_folder(_siglip, "SigLIP of transformers, pictures and texts in one space"),
    "biomedclip": _from_folder(_biomedclip, "BiomedCLIP as published for open_clip, in one space; needs no extra"),
    "open_clip": _from_folder(_open_clip, "any model saved by open_clip, in one space; needs the extra open_clip"),
    "dinov3": _from_folder(_dinov3, "DINOv3, DINOv2 or ViT for pictures, MiniLM for texts", joint=False),
}


def check_name(name: str) -> None:
    """Checks that a pair of towers exists.

    Raises:
        ConfigError: It does not; the hint names the nearest one.
    """
    if name not in TOWERS:
        raise ConfigError(f"no towers called {name}", suggest(name, TOWERS))


def weights_identity(name: str, *, model: str = "", hub: bool = False) -> str | None:
    """Returns the hash of the model that towers are to be loaded from; None for towers with weights of their own.

    Raises:
        ConfigError: No towers have that name, they need a model and have none, or have one and take none.
        DownloadError: The hub does not give the model.
    """
    check_name(name)
    if TOWERS[name].needs_model:
        return model_identity(find_model(model, hub=hub))
    if model:
        raise ConfigError(f"{name} takes no model, and embed.model is {model}", "name other towers, or no model")
    return None


def load_towers(name: str, device: torch.device, *, model: str = "", hub: bool = False) -> TowerPair:
    """Loads a pair of towers by name.

    Args:
        name: One of :data:`TOWERS`.
        device: Where they run.
        model: Folder of the model for towers that need one, or its name at the hub.
        hub: The hub may be asked for a name that is no folder.

    Raises:
        ConfigError: No towers have that name, or the model is missing, of another type or cannot be loaded.
        DownloadError: Their weights cannot be fetched or verified.
    """
    check_name(name)
    if TOWERS[name].needs_model:
        return TOWERS[name].load(find_model(model, hub=hub), device)
    return TOWERS[name].load(device)


def list_towers() -> list[dict[str, Any]]:
    """Returns a row for each pair: name, parameters, tokens, kind, source."""
    return [
        {"name": name, "parameters": e.parameters, "tokens": None, "kind": e.kind, "source": e.source}
        for name, e in TOWERS.items()
    ]
