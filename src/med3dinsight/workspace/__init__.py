"""What stages leave on disk: the workspace, its records, and the stores of voxels, captions, features."""

from .workspace import Workspace

__all__ = ["Workspace"]
