"""A chat-completions body as a local model's chat template wants it: parts, with the pictures decoded."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..asking.chat import RefusedError

if TYPE_CHECKING:
    from PIL.Image import Image

_PREFIX = "data:image/png;base64,"
#: More than any captioner's picture; a PNG of few bytes can hold very many pixels.
_MOST_PIXELS = 4096 * 4096


def chat_of(body: Mapping[str, Any], system: Literal["keep", "merge"]) -> list[dict[str, Any]]:
    """Returns the messages of a body with every content as a list of parts, pictures before text.

    Args:
        body: Of chat completions, with pictures as PNG in data URLs.
        system: "merge" puts a system message's text in front of the user's.

    Raises:
        RefusedError: A part is neither text nor a PNG.
    """
    chat: list[dict[str, Any]] = []
    for message in body["messages"]:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else [_part(part) for part in content]
        parts.sort(key=lambda part: part["type"] != "image")
        chat.append({"role": message["role"], "content": parts})
    if system == "merge" and len(chat) > 1 and chat[0]["role"] == "system":
        before = "".join(part["text"] for part in chat.pop(0)["content"])
        for part in chat[0]["content"]:
            if part["type"] == "text":
                part["text"] = f"{before}\n\n{part['text']}"
                break
    return chat


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") == "text":
        return {"type": "text", "text": part["text"]}
    if part.get("type") == "image_url":
        return {"type": "image", "image": decode_picture(part["image_url"]["url"])}
    raise RefusedError(f"a local model reads text and pictures, not {part.get('type')}")


def decode_picture(url: str) -> Image:
    """Returns the RGB picture in a data URL; no other address is ever opened.

    Raises:
        RefusedError: It is no PNG in a data URL, or has too many pixels.
    """
    from PIL import Image, UnidentifiedImageError

    if not url.startswith(_PREFIX):
        raise RefusedError("a picture must be a PNG in a data URL")
    try:
        data = base64.b64decode(url.removeprefix(_PREFIX), validate=True)
        picture = Image.open(io.BytesIO(data), formats=["PNG"])
        if picture.width * picture.height > _MOST_PIXELS:
            raise RefusedError(f"a picture of {picture.width} × {picture.height} pixels is too large")
        return picture.convert("RGB")
    except (binascii.Error, UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise RefusedError(f"a picture cannot be decoded: {type(error).__name__}") from None
