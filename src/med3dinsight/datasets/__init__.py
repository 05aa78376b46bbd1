"""Where scans come from: layouts of source folders, and the sample data out of registry packages."""

from .checking import CheckResult, check
from .layout import Facts, Layout
from .registry import LAYOUTS, detect, find, names

__all__ = ["LAYOUTS", "CheckResult", "Facts", "Layout", "check", "detect", "find", "names"]
