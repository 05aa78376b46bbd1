"""PSATs by name: numbers only. To add one: one entry here.

docs/explanation/psat.md says for each number who says so: the paper, the authors' published code, or we.
"""

from __future__ import annotations

from dataclasses import replace

from .settings import PSATSettings

#: Med3DInsight, arXiv 2403.05141, section 2. What it leaves open is DETR's (heads, MLP, dropout, activation), whose
#: decoder it describes; the mean over queries and the shared projection are ours.
_PAPER = PSATSettings(
    width=512,
    num_queries=300,
    num_layers=1,
    num_heads=8,
    ffn_width=2048,
    activation="relu",
    dropout=0.1,
    position_init="zero",
    positions="table",
    pooling="mean",
    distance_bias=False,
    project="shared",
    input_projection="if_needed",
    input_norm=False,
)

#: The extended version (arXiv 2509.09064) as intended: the sizes of the authors' code, with an MLP of four times the
#: width and all queries used.
_EXTENDED = replace(_PAPER, width=768, num_layers=6, ffn_width=3072)

PSAT_PRESETS: dict[str, PSATSettings] = {
    "insight": PSATSettings(),
    "paper": _PAPER,
    "extended": _EXTENDED,
    # The authors' code choice by choice: an MLP of 8 hidden units, the first query's output, N(0, 1) positions.
    "extended-code": replace(_EXTENDED, ffn_width=8, pooling="first", position_init="normal"),
}
