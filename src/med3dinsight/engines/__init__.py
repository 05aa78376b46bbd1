"""Engines: one function applied to many items, here, in processes of this machine, or on a Ray cluster."""

from .attempt import Failed
from .cores import usable_cores
from .registry import ENGINES, Engine, num_processes

__all__ = ["ENGINES", "Engine", "Failed", "num_processes", "usable_cores"]
