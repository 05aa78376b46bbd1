"""Predicting: a fine-tuned model and any scan -> a label map on the scan's own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .predict import predict as predict

__all__ = ["predict"]


def __getattr__(name: str) -> Any:
    if name == "predict":
        from .predict import predict

        globals()["predict"] = predict  # importing the submodule of that name has put it in this place
        return predict
    raise AttributeError(name)
