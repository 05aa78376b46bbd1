"""Scores of label maps and the statistics of their differences; every definition stands in its docstring."""

from .segmentation import segmentation_scores

__all__ = ["segmentation_scores"]
