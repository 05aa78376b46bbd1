"""Verbs of the contract that this version does not have yet: they say so and end with 2."""

from __future__ import annotations

from typing import NoReturn

from ..errors import NotBuiltError

#: Whatever is passed, the answer is the same.
CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}


def doctor() -> NoReturn:
    """Will show the machine, its parts and forecasts (not built yet)."""
    _refuse("doctor", "`med3dinsight status WORK` says what is done")


def retrieve() -> NoReturn:
    """Will retrieve volumes by text and texts by volume (not built yet)."""
    _refuse("retrieve", "`med3dinsight localize WORK` is the built read-out of that kind")


def export() -> NoReturn:
    """Will write weights for other tools (not built yet)."""
    _refuse("export", "pretraining/NAME/encoder.safetensors in the workspace holds the weights")


def _refuse(verb: str, instead: str) -> NoReturn:
    raise NotBuiltError(f"{verb} is not built yet", instead)
