"""The ``med3dinsight`` command: one verb a file, which parses, builds settings and calls a room's ``run``."""

from .app import main

__all__ = ["main"]
