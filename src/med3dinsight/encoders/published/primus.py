"""Weights of Primus as its authors publish them (dynamic-network-architectures, checkpoints of nnU-Net).

Their file holds one network; ours has the same parts under ``encoder`` and ``decoder``. ``mask_token`` is a buffer of
zeros that stands for patches dropped in training; ours has none, so it is written back as zeros.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

#: Ours, theirs: the first that fits a key's beginning is replaced.
_PARTS = (
    ("encoder.patches.", "down_projection.proj."),
    ("encoder.positions", "eva.pos_embed"),
    ("encoder.blocks.", "eva.blocks."),
    ("encoder.norm.", "eva.norm."),
    ("decoder.", "up_projection.decode."),
)
#: Within a block.
_LAYERS = (
    ("attention.query.", "attn.q_proj."),
    ("attention.key.", "attn.k_proj."),
    ("attention.value.", "attn.v_proj."),
    ("attention.norm.", "attn.norm."),
    ("attention.project.", "attn.proj."),
    ("feed_forward.gate.", "mlp.fc1_g."),
    ("feed_forward.value.", "mlp.fc1_x."),
    ("feed_forward.norm.", "mlp.norm."),
    ("feed_forward.project.", "mlp.fc2."),
    ("scale1", "gamma_1"),
    ("scale2", "gamma_2"),
)
_BLOCK = re.compile(r"((?:encoder|eva)\.blocks\.\d+\.)(.+)")
_MASK = "mask_token"


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a published state dict under our names, those of ``PrimusSegmenter``.

    The encoder's own state dict is the part under ``encoder.`` without that prefix. Keys of no known meaning keep
    their names, so that strict loading refuses them.
    """
    renamed = {_rename(key, 1, 0): value for key, value in state.items()}
    renamed.pop(_MASK, None)
    return renamed


def to_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the state dict of our ``PrimusSegmenter`` under the published names."""
    renamed = {_rename(key, 0, 1): value for key, value in state.items()}
    renamed[_MASK] = torch.zeros(1, 1, renamed["eva.pos_embed"].shape[2])
    return renamed


def _rename(key: str, old: int, new: int) -> str:
    if match := _BLOCK.fullmatch(key):
        head, layer = match.groups()
        key = head + _replace_start(layer, _LAYERS, old, new)
    return _replace_start(key, _PARTS, old, new)


def _replace_start(key: str, table: tuple[tuple[str, str], ...], old: int, new: int) -> str:
    for names in table:
        if key.startswith(names[old]):
            return names[new] + key.removeprefix(names[old])
    return key
