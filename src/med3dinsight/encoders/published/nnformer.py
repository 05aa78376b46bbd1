"""Weights of nnFormer as its authors publish them: whole networks, under the names of their code.

Theirs hold the index of relative positions, too, whose rows their code numbers in its own way; it is loaded with the
rest, so that their weights compute here what they computed there, whatever index the network was built with. Tables of
crops on which their windows were clipped are smaller than ours and do not fit; those of 128³ do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

#: Ours (of ``NNFormerSegmenter``), theirs; the first that fits the beginning of a key is replaced, N is a number.
_PARTS = (
    ("encoder.patch_embed.pairN.", "model_down.patch_embed.projN."),
    ("encoder.patch_embed.", "model_down.patch_embed."),
    ("encoder.stages.N.blocks.", "model_down.layers.N.blocks."),
    ("encoder.merges.N.", "model_down.layers.N.downsample."),
    ("encoder.norms.N.", "model_down.normN."),
    ("stages.N.blocks.", "decoder.layers.N.blocks."),
    ("stages.N.expand.", "decoder.layers.N.Upsample."),
    ("heads.N.", "final.N.up."),
)
_FEED_FORWARD = ((".mlp.linear1.", ".mlp.fc1."), (".mlp.linear2.", ".mlp.fc2."))


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a published state dict under our names, those of ``NNFormerSegmenter``.

    The authors train with deep supervision, so their files hold three heads: load them into a network built with
    ``deep_supervision=True``, or leave ``heads.1`` and ``heads.2`` out. The encoder's own state dict is the part under
    ``encoder.`` without that prefix. Keys of no known meaning keep their names, so that strict loading refuses them.
    """
    return {_rename(key, 1, 0): value for key, value in state.items()}


def to_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the state dict of our ``NNFormerSegmenter`` under the published names."""
    return {_rename(key, 0, 1): value for key, value in state.items()}


def _rename(key: str, old: int, new: int) -> str:
    for names in _PARTS:
        match = re.match(re.escape(names[old]).replace("N", r"(\d+)", 1), key)
        if match:
            key = names[new].replace("N", match.group(1) if match.groups() else "N", 1) + key[match.end() :]
            break
    for names in _FEED_FORWARD:
        key = key.replace(names[old], names[new])
    return key
