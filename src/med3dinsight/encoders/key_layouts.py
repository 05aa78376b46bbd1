"""Layouts of names in which others publish weights. To add one: write its file in ``published``, add one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

#: From a published state dict to our names, under ``encoder.`` or without; keys of no known meaning keep their names.
Rename = Callable[[Mapping[str, "Tensor"]], dict[str, "Tensor"]]


def _nnformer(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    from .published.nnformer import from_published

    return from_published(state)


def _primus(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    from .published.primus import from_published

    return from_published(state)


def _swin(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    from .published.swin import from_published

    return from_published(state)


#: Networks whose published names differ from ours by more than a prefix. MedicalNet, MONAI, nnU-Net and nnssl are no
#: entries: their names are ours behind a prefix. Of layouts that fit alike the first is taken.
LAYOUTS: dict[str, Rename] = {"swin": _swin, "nnformer": _nnformer, "primus": _primus}
