"""The arms of ``psat_choices``: PSAT's module, slices a volume, the distance bias, a reconstruction beside it."""

from __future__ import annotations

from typing import Any

from experiments.measuring import Arm

NAME = "psat_choices"
#: The remaining arm, plane_slice with K = 8 and the distance bias, is methods_compared's ``insight``.
REFERENCE = "insight"


def _insight(**changes: Any) -> Arm:
    # InfoNCE was insight's loss when these arms were registered; ../caption_noise changed it.
    return Arm({"method": "insight", "alignment": "infonce", **changes}, localize=True)


ARMS: dict[str, Arm] = {
    "linear-k1": _insight(psat_module="linear", slices_per_volume=1),
    "queries-k1": _insight(psat_module="queries", slices_per_volume=1),
    "plane_slice-k1": _insight(slices_per_volume=1),
    "plane_slice-k4": _insight(slices_per_volume=4),
    "no_distance_bias": _insight(distance_bias=False),
    "masked_reconstruction": _insight(reconstruction="masked"),
}


def cells(seeds: range) -> list[dict[str, Any]]:
    """All cells, seed by seed, both folds."""
    return [
        {"experiment": NAME, "arm": arm, "encoder": "conv_tiny", "fold": fold, "seed": seed}
        for seed in seeds
        for arm in ARMS
        for fold in ("chest", "abdomen")
    ]
