"""Settings of ``[caption]`` that only some captioners read: a language model beside its controls in one study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..captions.chat_settings import ChatSettings
from ..captions.registry import find_captioners
from ..errors import ConfigError

#: Files that lie beside the study file unless their path is whole.
_FILES = ("policy", "prices", "reports", "existing")


def settings_read_by(captioner: str, table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Returns a table ``[caption]`` without what is left to other captioners of the study.

    Args:
        captioner: A name of the registry; one that is unknown gets all.
        table: As it stands in the file.
        folder: Of the study file.
    """
    settings = {key: value for key, value in table.items() if _reads(captioner, key)}
    for key in _FILES:
        if isinstance(settings.get(key), str):
            settings[key] = str(folder / settings[key])
    if isinstance(settings.get("prompt"), str) and settings["prompt"].endswith(".toml"):
        settings["prompt"] = str(folder / settings["prompt"])
    if isinstance(settings.get("model"), str) and (folder / settings["model"]).is_dir():
        settings["model"] = str(folder / settings["model"])
    return settings


def refuse_unread_by_all(captioners: Iterable[str], table: Mapping[str, Any]) -> None:
    """Refuses settings that no captioner of a study reads.

    Raises:
        ConfigError: There is one.
    """
    names = list(captioners)
    for key in table:
        if not any(_reads(name, key) for name in names):
            readers = [name for name in find_captioners() if _reads(name, key)]
            raise ConfigError(
                f"caption.{key} is read by {', '.join(readers)}, and no arm has such a captioner",
                f'remove it, or give an arm captioner = "{readers[0]}"',
            )


def _reads(captioner: str, key: str) -> bool:
    entry = find_captioners().get(captioner)
    if entry is None:
        return True
    if key == "existing":
        return entry.way == "imported"
    # The device is the study's own and reaches every stage.
    return key not in ChatSettings.model_fields or key == "device" or key in entry.reads
