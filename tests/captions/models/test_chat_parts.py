"""Bodies become what a chat template wants, and nothing but pictures in them is ever opened."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest
from chat_bodies import data_url, png, question
from PIL import Image

from med3dinsight.captions.asking.chat import RefusedError
from med3dinsight.captions.models.chat_parts import chat_of, decode_picture


def test_pictures_come_before_text_and_as_rgb() -> None:
    [system, user] = chat_of(question(png()), "keep")
    assert [part["type"] for part in system["content"]] == ["text"]
    assert [part["type"] for part in user["content"]] == ["image", "text"]
    assert user["content"][0]["image"].mode == "RGB" and user["content"][0]["image"].size == (40, 32)


def test_a_system_message_is_merged_where_the_template_has_no_place_for_it() -> None:
    body = question(png())
    [user] = chat_of(body, "merge")
    text = user["content"][1]["text"]
    assert text.index(body["messages"][0]["content"]) < text.index(body["messages"][1]["content"][0]["text"])


def test_the_body_itself_stays_as_it_was() -> None:
    body, same = question(png()), question(png())
    chat_of(body, "merge")
    assert body == same


def bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/picture.png",
        "file:///etc/passwd",
        "data:image/png;base64,???",
        data_url(b""),
        data_url(b"GIF89a"),
        data_url(png()[:60]),
        data_url(bomb()),
    ],
)
def test_what_is_no_png_of_a_fair_size_is_refused(url: str) -> None:
    with pytest.raises(RefusedError, match="picture"):
        decode_picture(url)


def test_a_part_of_another_kind_is_refused() -> None:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}
    with pytest.raises(RefusedError, match="input_audio"):
        chat_of(body, "keep")


def test_the_picture_is_decoded_as_it_was() -> None:
    picture = decode_picture(data_url(png(3)))
    assert isinstance(picture, Image.Image)
    assert png(3) != png(4) and decode_picture(data_url(png(4))).tobytes() != picture.tobytes()
