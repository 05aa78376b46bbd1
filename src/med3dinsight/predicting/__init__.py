"""Predicting: a fine-tuned model and any scan -> a label map on the scan's own grid, or class probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scans import predict as predict

__all__ = ["predict"]


def __getattr__(name: str) -> Any:
    if name == "predict":
        from .scans import predict

        return predict
    raise AttributeError(name)
