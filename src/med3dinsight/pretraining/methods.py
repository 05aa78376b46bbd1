"""Pre-training methods by name: what they preset, and what builds them. To add one: one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..config import suggest
from ..errors import ConfigError
from .config import PretrainConfig
from .recipes import EXTENDED, OURS, PAPER, Recipe
from .settings_read import ALIGNMENT, FEATURES, LOOK, LOOKING, MASKS, PSAT, VIEWS, Names

if TYPE_CHECKING:
    from torch import nn

    from .objective import Objective
    from .pool import Pool

#: ``(resolved settings, encoder, pool) -> objective``; imports torch when it is called.
Build = Callable[[PretrainConfig, "nn.Module", "Pool"], "Objective"]


@dataclass(frozen=True)
class Method:
    """A method that can be named.

    Attributes:
        build: Makes the objective around an encoder; None where nothing is trained.
        kind: A few words for the list of methods.
        source: The paper, or "ours".
        preset: Settings that the method gives where the user has left them out.
        recipe: How it is optimised where the user says nothing.
        reads: Settings that it reads beside those that every run has; another one that is set is refused.
        of_texts: Those among them that are only about texts, and do nothing where none are matched.
        features: Whether it matches 2D features of slices, so that `embed` has to have run.
        texts_only: Whether texts are all that it matches of them.
        without_text: Whether ``no_text`` leaves something to learn.
        least_volumes: Volumes a step that it needs at least.
    """

    build: Build | None
    kind: str
    source: str
    preset: Mapping[str, Any] = field(default_factory=dict)
    reads: Names = frozenset()
    of_texts: Names = frozenset()
    features: bool = False
    texts_only: bool = False
    without_text: bool = True
    least_volumes: int = 1
    recipe: Recipe = OURS


def _psat(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .slice_alignment import SliceAlignment

    return SliceAlignment(config, encoder, pool)


def _mae(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .peers.mae import MaskedAutoencoder

    return MaskedAutoencoder(config, encoder, pool)


def _simmim(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .peers.simmim import SimMIM

    return SimMIM(config, encoder, pool)


def _simclr(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .peers.simclr import SimCLR

    return SimCLR(config, encoder, pool)


def _moco(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .peers.moco import MoCo

    return MoCo(config, encoder, pool)


def _dino(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .peers.dino import Dino

    return Dino(config, encoder, pool)


def _voco(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .peers.voco import VoCo

    return VoCo(config, encoder, pool)


def _genesis(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .peers.genesis import Genesis

    return Genesis(config, encoder, pool)


def _gtgm(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .peers.gtgm import GTGM

    return GTGM(config, encoder, pool)


def _clip3d(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .peers.clip3d import VolumeCLIP

    return VolumeCLIP(config, encoder, pool)


def _t3d(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .text_informed import TextInformed

    return TextInformed(config, encoder, pool)


def _multiview(config: PretrainConfig, encoder: nn.Module, pool: Pool) -> Objective:
    from .multiview import Multiview

    return Multiview(config, encoder, pool)


_PSAT = PSAT | ALIGNMENT | FEATURES | LOOK | MASKS | LOOKING | {"reconstruction", "reconstruction_weight"}
_T3D = FEATURES | LOOK | MASKS | LOOKING | {"no_text", "temperature", "projection_width"}
_PLAIN = {"slices_per_volume": 1, "contrast_augmentation": 0.0}
_TRANSPORT = {**_PLAIN, "alignment": "partial-ot"}

METHODS: dict[str, Method] = {
    "insight": Method(
        _psat,
        "PSAT, optimal transport, K slices a volume, distance bias",
        "ours",
        {"slices_per_volume": 8, "alignment": "ot"},
        _PSAT,
        of_texts=frozenset({"wrong_texts"}),
        features=True,
    ),
    "paper": Method(
        _psat,
        "PSAT, InfoNCE, one slice a volume",
        "arXiv 2403.05141",
        {**_PLAIN, "alignment": "infonce", "temperature": 0.07},
        _PSAT,
        of_texts=frozenset({"wrong_texts"}),
        features=True,
        recipe=PAPER,
    ),
    "extended": Method(
        _psat,
        "PSAT, partial optimal transport, full metric, masked reconstruction",
        "arXiv 2509.09064",
        {**_TRANSPORT, "metric": "psd", "reconstruction": "masked"},
        _PSAT,
        of_texts=frozenset({"wrong_texts"}),
        features=True,
        recipe=EXTENDED,
    ),
    "extended-code": Method(
        _psat,
        "the same, choice by choice as in the authors' review code",
        "arXiv 2509.09064, authors' code",
        {**_TRANSPORT, "metric": "diagonal", "reconstruction": "plain"},
        _PSAT,
        of_texts=frozenset({"wrong_texts"}),
        features=True,
        recipe=EXTENDED,
    ),
    "t3d": Method(
        _t3d,
        "text-informed contrast of two crops, and restoration; our reading",
        "after arXiv 2312.01529",
        {"mask_ratio": 0.5},
        _T3D | {"reconstruction_weight", "text_dropout"},
        of_texts=frozenset({"wrong_texts", "shuffled_pairs", "text_dropout"}),
        features=True,
        texts_only=True,
        least_volumes=2,
    ),
    "multiview": Method(
        _multiview,
        "volume against report, and crops that agree where K texts look; our reading",
        "after arXiv 2312.01529",
        {"slices_per_volume": 8},
        FEATURES | LOOK | LOOKING | {"no_text", "slices_per_volume", "temperature"},
        features=True,
        texts_only=True,
        without_text=False,
        least_volumes=2,
    ),
    "gtgm": Method(
        _gtgm,
        "two views against the nearest caption, and each other (Barlow Twins)",
        "arXiv 2306.04811",
        reads=FEATURES | VIEWS | LOOKING | {"no_text", "temperature"},
        of_texts=frozenset({"wrong_texts", "shuffled_pairs", "temperature"}),
        features=True,
        texts_only=True,
        least_volumes=2,
    ),
    "clip3d": Method(
        _clip3d,
        "volume against the mean of its captions (CLIP)",
        "arXiv 2103.00020, for volumes",
        reads=FEATURES | LOOK | ALIGNMENT | LOOKING | {"no_text"},
        features=True,
        texts_only=True,
        without_text=False,
        least_volumes=2,
    ),
    "mae": Method(
        _mae,
        "masked autoencoder",
        "arXiv 2111.06377",
        {"mask_ratio": 0.75},
        LOOK | MASKS | LOOKING | {"normalized_targets"},
    ),
    "simmim": Method(
        _simmim,
        "masked blocks by one linear layer",
        "arXiv 2111.09886",
        {"mask_ratio": 0.6},
        LOOK | MASKS | LOOKING,
    ),
    "genesis": Method(
        _genesis,
        "restoration of a spoilt volume (Models Genesis)",
        "doi 10.1016/j.media.2020.101840",
        reads=LOOKING | {"shift_voxels"},
    ),
    "simclr": Method(
        _simclr,
        "contrast of two views",
        "arXiv 2002.05709",
        {"temperature": 0.1},
        VIEWS | LOOKING | {"projection_width", "temperature"},
        least_volumes=2,
    ),
    "moco": Method(
        _moco,
        "contrast with a slow teacher (MoCo v3)",
        "arXiv 2104.02057",
        {"temperature": 0.2, "teacher_momentum": 0.99},
        VIEWS | LOOKING | {"projection_width", "temperature", "teacher_momentum"},
        least_volumes=2,
    ),
    "dino": Method(
        _dino,
        "self-distillation with a slow teacher",
        "arXiv 2104.14294",
        {"temperature": 0.1, "teacher_momentum": 0.996},
        VIEWS | LOOKING | {"projection_width", "temperature", "teacher_momentum", "local_views"},
    ),
    "voco": Method(
        _voco,
        "position of a cube by its overlap with base crops",
        "arXiv 2402.17300",
        reads=LOOK | LOOKING | {"projection_width"},
    ),
    "none": Method(None, "control: the random weights themselves, nothing is trained", "ours"),
}


def find_method(name: str) -> Method:
    """Returns a method by name.

    Raises:
        ConfigError: No method has that name; the hint names the nearest one.
    """
    if name not in METHODS:
        raise ConfigError(f"no pre-training method called {name}", suggest(name, METHODS))
    return METHODS[name]


def list_methods() -> list[dict[str, Any]]:
    """Returns a row for each method: name, parameters, tokens, kind, source."""
    return [
        {"name": name, "parameters": None, "tokens": None, "kind": m.kind, "source": m.source}
        for name, m in METHODS.items()
    ]
