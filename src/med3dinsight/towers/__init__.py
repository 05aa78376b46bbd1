"""2D image and text towers by name, and the projections into the space that pre-training matches."""

from .registry import TOWERS, list_towers, load_towers

__all__ = ["TOWERS", "list_towers", "load_towers"]
