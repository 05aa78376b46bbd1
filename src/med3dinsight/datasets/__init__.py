"""Where scans come from: layouts of source folders, and the sample data out of registry packages."""

from .registry import LAYOUTS, check, find, names

__all__ = ["LAYOUTS", "check", "find", "names"]
