"""Pre-training methods by name: presets of the same loop. To add one: one line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import suggest
from ..errors import ConfigError
from .config import PretrainConfig

if TYPE_CHECKING:
    from ..alignment.query_transformer import PSATSettings


@dataclass(frozen=True)
class Method:
    """Choices of a method.

    Attributes:
        num_queries, psat_width, psat_layers, num_heads, ffn_width: Sizes of PSAT.
        distance_bias, pooling, position_init: Its other choices.
        slices_per_volume: K.
        kind: A few words for the list of methods.
        source: The paper, or "ours".
    """

    num_queries: int
    psat_width: int
    psat_layers: int
    num_heads: int
    ffn_width: int
    distance_bias: bool
    pooling: str
    position_init: str
    slices_per_volume: int
    kind: str
    source: str


METHODS: dict[str, Method] = {
    "insight": Method(
        32, 128, 1, 4, 512, True, "mean", "zero", 8, "PSAT, InfoNCE, K slices a volume, distance bias", "ours"
    ),
    "paper": Method(
        300, 512, 1, 8, 2048, False, "mean", "zero", 1, "PSAT, InfoNCE, one slice a volume", "arXiv 2403.05141"
    ),
}


def resolve(config: PretrainConfig) -> Method:
    """Returns the method's preset with the settings that the user changed.

    Raises:
        ConfigError: No method has that name, or the batch is too small to contrast.
    """
    if config.method not in METHODS:
        raise ConfigError(f"no pre-training method called {config.method}", suggest(config.method, METHODS))
    preset = METHODS[config.method]
    chosen = {
        name: value
        for name in ("num_queries", "psat_width", "psat_layers", "distance_bias", "pooling", "position_init")
        if (value := getattr(config, name)) is not None
    }
    if config.slices_per_volume is not None:
        chosen["slices_per_volume"] = config.slices_per_volume
    method = Method(**{**preset.__dict__, **chosen})
    if config.batch_volumes * method.slices_per_volume < 2:
        raise ConfigError(
            "one volume with one slice a step leaves nothing to contrast",
            "set pretrain.batch_volumes or pretrain.slices_per_volume to 2 or more",
        )
    if method.psat_width % method.num_heads:
        raise ConfigError(
            f"pretrain.psat_width = {method.psat_width} is no multiple of {method.num_heads} heads",
            f"use a multiple of {method.num_heads}",
        )
    return method


def psat_settings(method: Method) -> PSATSettings:
    """Turns a method's choices into those of PSAT."""
    from ..alignment.query_transformer import PSATSettings

    return PSATSettings(
        width=method.psat_width,
        num_queries=method.num_queries,
        num_layers=method.psat_layers,
        num_heads=method.num_heads,
        ffn_width=method.ffn_width,
        position_init="normal" if method.position_init == "normal" else "zero",
        pooling="first" if method.pooling == "first" else "mean",
        distance_bias=method.distance_bias,
    )


def list_methods() -> list[dict[str, Any]]:
    """Returns a row for each method: name, parameters, tokens, kind, source."""
    return [
        {"name": name, "parameters": None, "tokens": None, "kind": m.kind, "source": m.source}
        for name, m in METHODS.items()
    ]
