"""``encoders``, ``networks``, ``captioners``, ``towers``, ``methods``: what can be named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .options import ConfigFile, Json, Overrides
from .replies import Reply
from .settings import no_settings


def encoders(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> Reply:
    """Lists 3D encoders that can be pre-trained."""
    no_settings("encoders", overrides)
    from ..encoders import list_encoders

    return _listing(list_encoders())


def networks(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> Reply:
    """Lists networks that can be fine-tuned."""
    no_settings("networks", overrides)
    from ..networks import list_networks

    return _listing(list_networks())


def captioners(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> Reply:
    """Lists captioners, the controls among them."""
    no_settings("captioners", overrides)
    from ..captions import list_captioners

    return _listing(list_captioners())


def towers(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> Reply:
    """Lists pairs of 2D image and text towers."""
    no_settings("towers", overrides)
    from ..towers import list_towers

    return _listing(list_towers())


def methods(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> Reply:
    """Lists pre-training methods."""
    no_settings("methods", overrides)
    from ..pretraining.methods import list_methods

    return _listing(list_methods())


def _listing(rows: Sequence[dict[str, Any]]) -> Reply:
    width = max(len(row["name"]) for row in rows)
    return Reply({"names": list(rows)}, tuple(_row(row, width) for row in rows))


def _row(row: dict[str, Any], width: int) -> str:
    parameters = f"{row['parameters'] / 1e6:9.2f} M" if row["parameters"] else " " * 11
    detail = row["tokens"] or row.get("task") or ""  # one name may be a network of several tasks
    return f"{row['name']:{width}}  {parameters}  {detail:14}  {row['kind']}; {row['source']}"
