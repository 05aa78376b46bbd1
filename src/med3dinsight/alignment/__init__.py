"""Matching a volume, asked at a plane and position, with the features of the slice that lies there."""

from .query_transformer import PlaneSliceAwareTransformer, PSATSettings

__all__ = ["PSATSettings", "PlaneSliceAwareTransformer"]
