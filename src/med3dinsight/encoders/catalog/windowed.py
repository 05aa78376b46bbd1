"""Encoders whose attention runs inside windows."""

from __future__ import annotations

from .entry import EncoderEntry

WINDOWED: dict[str, EncoderEntry] = {}
