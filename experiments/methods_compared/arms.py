"""The arms of ``methods_compared``: every method and every control, at the tiny size."""

from __future__ import annotations

from typing import Any

from experiments.measuring import Arm

NAME = "methods_compared"
ENCODERS = ("conv_tiny", "vit_tiny")
#: Those of which five seeds run.
MANY_SEEDS = ("insight", "mae", "shuffled")
RANDOM_INITS = 6
#: The presets' PSATs are as wide as the papers'; all are made as small as insight's, with their own depth and choices.
_SMALL = {"psat_width": 128, "num_queries": 32, "psat_heads": 4}


#: What `insight` was when these arms were registered; ../caption_noise made ``ot`` its loss.
_INSIGHT = {"alignment": "infonce"}


def _method(name: str, **changes: Any) -> Arm:
    return Arm({"method": name, **changes})


def _aligned(name: str, **changes: Any) -> Arm:
    return Arm({"method": name, **changes}, localize=True)


ARMS: dict[str, Arm] = {
    # Fine-tuning was asked for here in the first block only, and is asked for by ../finetuned_longer since then.
    "scratch": Arm(None, probe=False, finetune=True),
    "random": Arm({"method": "none"}),
    "insight": _aligned("insight", **_INSIGHT),
    "mae": _method("mae"),
    # Pictures would tell a control on shuffled captions where a slice lies.
    "shuffled": _aligned("insight", captioner="shuffled", match="text", **_INSIGHT),
    "no_text": _aligned("insight", no_text=True, **_INSIGHT),
    "template": _aligned("insight", captioner="template", **_INSIGHT),
    "paper": _aligned("paper", **_SMALL, ffn_width=512),
    "extended": _aligned("extended", **_SMALL, ffn_width=512),
    "extended-code": _aligned("extended-code", **_SMALL),
    "t3d": _method("t3d"),
    "multiview": _method("multiview"),
    **{name: _method(name) for name in ("simmim", "simclr", "moco", "voco", "genesis", "dino", "gtgm", "clip3d")},
}


def cells(encoder: str, arms: tuple[str, ...], seeds: range) -> list[dict[str, Any]]:
    """Cells of some arms and seeds, seed by seed, both folds."""
    return [
        {"experiment": NAME, "arm": arm, "encoder": encoder, "fold": fold, "seed": seed}
        for seed in seeds
        for arm in arms
        for fold in ("chest", "abdomen")
    ]
