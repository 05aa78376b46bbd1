"""Every choice of a PSAT as one setting; comes up without torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

from ..errors import ConfigError, suggest


@dataclass(frozen=True)
class PSATSettings:
    """Choices of a PSAT; the defaults are those of the preset ``insight``. Raises as :func:`check`.

    Attributes:
        module: "plane_slice" (the paper's Ex3): queries that know plane and position; "queries" (Ex2): the same
            without positions, neither table nor distance bias; "linear" (Ex1): the mean of the tokens and a linear
            projection, nothing else. The last two give one answer a volume, wherever they are asked; settings of
            parts that a module lacks have no effect.
        width: Width of queries (the paper: 512; the authors' code of the extended version: 768).
        num_queries: Learnable queries (the paper: 300).
        num_layers: Decoder layers (the paper's figure: 1; the authors' code: 6).
        num_heads: Attention heads.
        ffn_width: Hidden width of the MLP.
        activation: Of the MLP: "gelu" (ours) or "relu" (DETR).
        dropout: Share of attention weights, branch outputs and hidden units dropped in training (DETR, and the
            authors' code: 0.1).
        norm: "post": LayerNorm after each branch, as in DETR and the authors' code; "pre": before it, and once at
            the end.
        num_positions: Entries of the position table a plane.
        position_init: "zero" (the paper) or "normal" (the authors' code).
        positions: "interpolated" between the two nearest entries (ours) or the entry of the bin, "table" (the paper).
        position_at: Where queries get the vector: "input", once (the paper, the authors' code); "every_layer", added
            to what is compared in each attention, as DETR adds its query positions. Tokens have it in both.
        distance_bias: Lowers each attention logit by a learned slope times the distance between token and slice
            plane (ours).
        pooling: How the queries' outputs become one vector: "mean" (ours, the paper is silent), "first" (the authors'
            code) or "attention", their mean weighted by a learned score (ours).
        project: "separate" linear projections to image and text features (ours) or one for both, "shared" (the
            authors' code, which compares one vector with both).
        input_projection: "always", or "if_needed": only where the tokens' width is another one (the authors' code).
        input_norm: LayerNorm on the tokens before they are attended to (ours).
    """

    width: int = 128
    num_queries: int = 32
    num_layers: int = 1
    num_heads: int = 4
    ffn_width: int = 512
    num_positions: int = 128
    position_init: Literal["zero", "normal"] = "zero"
    pooling: Literal["mean", "first", "attention"] = "mean"
    distance_bias: bool = True
    module: Literal["plane_slice", "queries", "linear"] = "plane_slice"
    activation: Literal["gelu", "relu"] = "gelu"
    dropout: float = 0.0
    norm: Literal["post", "pre"] = "post"
    positions: Literal["interpolated", "table"] = "interpolated"
    position_at: Literal["input", "every_layer"] = "input"
    project: Literal["separate", "shared"] = "separate"
    input_projection: Literal["always", "if_needed"] = "always"
    input_norm: bool = True

    def __post_init__(self) -> None:
        check(self)


def check(settings: PSATSettings) -> None:
    """Checks that the choices exist and fit each other.

    Raises:
        ConfigError: A count is below 1, a share out of range, a choice unknown, or the width no multiple of the heads.
    """
    hints = get_type_hints(PSATSettings)
    for field in fields(settings):
        value, known = getattr(settings, field.name), get_args(hints[field.name])
        if known and value not in known:
            raise ConfigError(f"PSAT's {field.name} = {value!r} is no choice", suggest(str(value), known))
        if hints[field.name] is int and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ConfigError(f"PSAT's {field.name} = {value!r} is no count", "use a whole number of 1 or more")
    if not 0 <= settings.dropout < 1:
        raise ConfigError(f"PSAT's dropout = {settings.dropout} is no share", "use 0 or more and less than 1")
    if settings.module != "linear" and settings.width % settings.num_heads:
        raise ConfigError(
            f"PSAT's width = {settings.width} is no multiple of its {settings.num_heads} heads",
            f"use a multiple of {settings.num_heads}, or another num_heads",
        )
