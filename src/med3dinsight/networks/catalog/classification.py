"""Networks that classify whole volumes."""

from __future__ import annotations

from .entry import NetworkEntry

CLASSIFICATION: dict[str, NetworkEntry] = {}
