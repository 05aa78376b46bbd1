"""Pictures and chat-completions bodies as a captioner makes them."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from med3dinsight.captions.prompts.prompt import ViewFacts, load_prompt


def png(seed: int = 0, size: tuple[int, int] = (40, 32)) -> bytes:
    """A picture of blobs, as PNG."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize(size).save(file, "PNG")
    return file.getvalue()


def question(picture: bytes, prompt: str = "describe", **changes: Any) -> dict[str, Any]:
    """A body as a captioner makes it."""
    asked = load_prompt(prompt)
    return {
        "model": "tiny-llava",
        "messages": asked.messages(ViewFacts("CT", "axial", "in the middle of the scan"), picture),
        "response_format": asked.response_format,
        "temperature": 0,
        "max_tokens": 400,
        **changes,
    }


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()
