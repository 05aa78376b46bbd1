"""Weights of 3D Swin transformers as MONAI and those who train with it publish them.

Our encoder has MONAI's own keys; files differ by a prefix (``module.`` of distributed training, ``swinViT.`` of a whole
SwinUNETR) and, the oldest ones, by the names of the feed-forward layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

#: What to tell somebody who loads weights whose origin is not known.
OLD_MERGING_WARNING = (
    "up to MONAI 1.4 the 3D Swin transformer joined two of eight neighbours twice and two never; weights trained with "
    "it load into the mended network without a word and compute something else. Nothing in a file says which it is: if "
    "these weights are from before MONAI 1.5 (May 2025), take the encoder whose name ends in _before_1_5"
)
_PREFIX = re.compile(r"(module\.)?(swinViT\.)?")
_OLD_FEED_FORWARD = ((".mlp.fc1.", ".mlp.linear1."), (".mlp.fc2.", ".mlp.linear2."))
_ENCODER = re.compile(r"(patch_embed|layers\d)\.")
#: The places of the merging that saw the same neighbour, as pairs.
_TWINS = ((2, 5), (3, 6))


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the encoder's part of a published state dict under our names, those of ``SwinEncoder``.

    Args:
        state: Weights of MONAI's ``SwinTransformer`` or ``SwinUNETR``, with or without ``module.``.
    """
    found = {}
    for key, value in state.items():
        match = _PREFIX.match(key)
        name = key[match.end() :] if match else key
        for old, new in _OLD_FEED_FORWARD:
            name = name.replace(old, new)
        if _ENCODER.match(name):
            found[name] = value
    return found


def twin_excess(state: Mapping[str, Tensor]) -> float | None:
    """Returns how much more alike a merging's twice-read places are than any others: a hint at weights before 1.5.

    Places that see the same neighbour get the same gradient, so their weights grow alike with training, while they stay
    as different as they began where they see two neighbours. For each merging layer the mean cosine of the two pairs of
    twins less the largest cosine of any other pair, and of these the mean. It is a hint and no proof: above 0 is
    suspicious, below 0 is either mended or hardly trained (a small network after 30 steps: -0.04 with either merging;
    after 300: 0.06 with the old one, -0.05 with the mended one).

    Args:
        state: Weights under the names of ``SwinEncoder``.

    Returns:
        The excess, in -2..2; None if no merging layer is in ``state``.
    """
    found = []
    for key, weight in state.items():
        scale = state.get(key.replace("reduction", "norm"))
        if not key.endswith("downsample.reduction.weight") or scale is None:
            continue
        places = (weight * scale).unflatten(1, (8, -1)).transpose(0, 1).flatten(1)
        cosine = F.normalize(places, dim=1) @ F.normalize(places, dim=1).t()
        pairs = {(i, j): float(cosine[i, j]) for j in range(8) for i in range(j)}
        twins = [pairs.pop(pair) for pair in _TWINS]
        found.append(sum(twins) / len(twins) - max(pairs.values()))
    return sum(found) / len(found) if found else None
