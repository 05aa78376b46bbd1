"""What settings come to for a model: by what name its answers are kept, what it is asked, how large it sees a slice."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ..chat_settings import ChatSettings
from ..prompts.prompt import Prompt, load_prompt
from .families import Family, family_of

#: What an endpoint is asked and shown unless told: its model may be anything.
ENDPOINT_PROMPT, ENDPOINT_PICTURE = "describe", 384
#: Bytes at the start and end of a file of weights that tell it from others of the same size.
_TELLING = 1 << 20


@dataclass(frozen=True)
class Chosen:
    """A model and how it is asked.

    Attributes:
        model: Its name in requests and in the keys of answers; for a folder its name and a hash of what it holds.
        prompt: What is asked.
        picture_size: Edge of the picture in pixels.
    """

    model: str
    prompt: Prompt
    picture_size: int

    def asked_with(self, settings: ChatSettings) -> dict[str, Any]:
        """Returns all that makes the same slice another question; the prompt counts by its content."""
        return {
            "model": self.model,
            "prompt": self.prompt.sha256,
            "picture_size": self.picture_size,
            **self.parameters(settings),
        }

    def parameters(self, settings: ChatSettings) -> dict[str, Any]:
        """Returns the parameters of a request's body; models that reason refuse those of the others."""
        if settings.reasons:
            return {"max_completion_tokens": settings.max_tokens}
        return {"temperature": settings.temperature, "max_tokens": settings.max_tokens}


def choose(settings: ChatSettings, *, in_process: bool) -> Chosen:
    """Fills in what the settings leave to the model's family.

    Args:
        settings: Of asking.
        in_process: Whether the model is a folder (or a name with ``hub``) that is run in this process.

    Raises:
        ConfigError: There is no model or prompt of that name.
    """
    if not settings.model:
        raise ConfigError("no model is named", "give --model: a folder for a local one, a name at an endpoint")
    name, prompt, size = settings.model, ENDPOINT_PROMPT, ENDPOINT_PICTURE
    if in_process:
        family = _family(settings.model, settings.hub)
        prompt, size = family.prompt, family.picture_size
        if Path(settings.model).is_dir():
            name = f"{Path(settings.model).resolve().name}@{_digest(Path(settings.model))}"
    return Chosen(name, load_prompt(settings.prompt or prompt), settings.picture_size or size)


def _family(model: str, hub: bool) -> Family:
    path = Path(model) / "config.json"
    if Path(model).is_dir():
        try:
            return family_of(str(json.loads(path.read_text(encoding="utf-8")).get("model_type", "")), model)
        except (OSError, ValueError, AttributeError):
            raise ConfigError(
                f"{model} holds no model: config.json is missing or no JSON", "give the folder of a model"
            ) from None
    if not hub:
        raise ConfigError(
            f"there is no folder {model}",
            "give the folder of a model, or --set caption.hub=true to download it by name",
        )
    from transformers import AutoConfig

    try:
        return family_of(AutoConfig.from_pretrained(model, trust_remote_code=False).model_type, model)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"no model called {model}: {reason}", "check the name and the network") from None


def _digest(folder: Path) -> str:
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return _digest_of(folder, tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files))


@functools.lru_cache(maxsize=8)
def _digest_of(folder: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    """Hashes names, sizes, and of each file its first and last megabyte: gigabytes would cost a minute each time."""
    digest = hashlib.sha256()
    for name, size, _ in files:
        digest.update(json.dumps([name, size]).encode())
        with (folder / name).open("rb") as handle:
            digest.update(handle.read(_TELLING))
            handle.seek(max(size - _TELLING, 0))
            digest.update(handle.read(_TELLING))
    return digest.hexdigest()[:16]
