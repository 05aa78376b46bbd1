"""Folders that hold a published model: finding them, offline first, and telling two of them apart."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DownloadError
from ..workspace.provenance import fingerprint

#: In a captioner's folder of features: the model that was tuned on its texts.
TUNED = "tuned"
#: What a model's folder may hold that decides its features; a hub is asked for nothing else.
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "pytorch_model*.bin", "open_clip_pytorch_model.bin")
_CHUNK = 1 << 22


def find_model(model: str, *, hub: bool) -> Path:
    """Returns the folder of a model: a local path, or one fetched from the hub where that is allowed.

    Args:
        model: A folder, or a name of the hub such as ``openai/clip-vit-base-patch32``.
        hub: A name that is no folder may be looked up at the hub, which fetches it once and caches it.

    Raises:
        ConfigError: No model is given, or it is no folder and the hub is not allowed.
        DownloadError: The hub does not give it.
    """
    if not model:
        raise ConfigError("these towers need a model", "set embed.model (--set embed.model=FOLDER) to its folder")
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if not hub:
        raise ConfigError(
            f"no such folder: {model}",
            "give the folder of a saved model; a name is looked up at the hub only with embed.hub=true",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(model, allow_patterns=list(_FILES)))
    except HFValidationError:
        raise ConfigError(f"{model} is neither a folder nor a name of the hub", "names are OWNER/MODEL") from None
    except Exception as error:  # the hub's client raises those of three libraries
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DownloadError(
            f"the hub does not give {model}: {reason}", "fetch it by hand and give its folder"
        ) from None


def model_identity(folder: Path) -> str:
    """Returns a hash of what a model computes: its weights, settings, preprocessing and vocabulary.

    Where a model is saved both as safetensors and as a pickle, the pickle is not read and not counted.

    Raises:
        ConfigError: The folder holds no weights.
    """
    files = sorted({path for pattern in _FILES for path in folder.glob(pattern) if path.is_file()})
    if any(path.suffix == ".safetensors" for path in files):
        files = [path for path in files if path.suffix != ".bin"]
    elif not any(path.suffix == ".bin" for path in files):
        raise ConfigError(f"{folder} holds no weights", "it needs model.safetensors beside its config.json")
    return fingerprint("model", {path.name: _sha256(path) for path in files})


def read_table(folder: Path, name: str) -> dict[str, Any]:
    """Reads a JSON file of a model's folder.

    Raises:
        ConfigError: It is missing or no JSON object.
    """
    try:
        table = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{folder} has no {name}", "save the model together with its processor") from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{folder / name} cannot be read: {error}", "fetch or save the model again") from None
    if not isinstance(table, dict):
        raise ConfigError(f"{folder / name} is not a table of settings", "fetch or save the model again")
    return table


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
