"""Matching a volume, asked at a plane and position, with the features of the slice that lies there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .presets import PSAT_PRESETS
from .settings import PSATSettings

if TYPE_CHECKING:
    from .query_transformer import PlaneSliceAwareTransformer as PlaneSliceAwareTransformer

__all__ = ["PSAT_PRESETS", "PSATSettings", "PlaneSliceAwareTransformer"]


def __getattr__(name: str) -> Any:
    """Brings the module with torch when it is asked for: settings and presets are read by light commands too."""
    if name == "PlaneSliceAwareTransformer":
        from .query_transformer import PlaneSliceAwareTransformer

        return PlaneSliceAwareTransformer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
