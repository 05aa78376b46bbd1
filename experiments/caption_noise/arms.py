"""The arms of ``caption_noise``: an alignment loss and a share of slices with the text of another slice."""

from __future__ import annotations

from typing import Any

from experiments.measuring import Arm

NAME = "caption_noise"
LOSSES = ("infonce", "partial-ot", "weighted-partial-ot", "transport-cost", "ot", "sigmoid")
SHARES = (0, 30, 50, 10)
#: InfoNCE without wrong texts is methods_compared's ``insight``; sigmoid, no transport loss, is run at 0 and 30 % only.
REFERENCE = "infonce-0"

ARMS: dict[str, Arm] = {
    f"{loss}-{share}": Arm({"method": "insight", "alignment": loss, "wrong_texts": share / 100}, localize=True)
    for share in SHARES
    for loss in LOSSES
    if f"{loss}-{share}" != REFERENCE and (loss != "sigmoid" or share in (0, 30))
}


def cells(seeds: range) -> list[dict[str, Any]]:
    """All cells, seed by seed, of the chest fold."""
    return [
        {"experiment": NAME, "arm": arm, "encoder": "conv_tiny", "fold": "chest", "seed": seed}
        for seed in seeds
        for arm in ARMS
    ]
