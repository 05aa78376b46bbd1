"""Looks for words in bytes that crossed a wire, in all the spellings in which a careless program would send them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray


def spellings(word: str) -> Iterator[bytes]:
    """Spellings of a word: as it is, escaped, in UTF-16, hexadecimal and base64 at any place, and its usual hashes."""
    plain = word.encode()
    yield plain
    yield quote(word, safe="").encode()
    yield json.dumps(word)[1:-1].encode()
    yield word.encode("utf-16-le")
    yield word.encode("utf-16-be")
    yield plain.hex().encode()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + plain)
        yield text[(0, 2, 3)[shift] : len(text) - (3 if (shift + len(plain)) % 3 else 0)]
    for kind in ("md5", "sha1", "sha256"):
        yield hashlib.new(kind, plain).hexdigest().encode()


def found(words: Iterable[str], content: bytes) -> list[str]:
    """Returns the words that stand in some bytes in any spelling, small or large letters."""
    content = content.lower()
    return [word for word in words if any(form.lower() in content for form in spellings(word))]


def pictures(body: bytes) -> list[bytes]:
    """Returns the pictures of a chat-completions body."""
    return [base64.b64decode(text, validate=True) for text in re.findall(rb"data:image/png;base64,([^\"]*)", body)]


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Returns the chunks of a PNG file; what stands after the last one is a chunk called ``rest``."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place, parts = 8, []
    while place < len(png) and not (parts and parts[-1][0] == b"IEND"):
        (length,) = struct.unpack(">I", png[place : place + 4])
        parts.append((png[place + 4 : place + 8], png[place + 8 : place + 8 + length]))
        place += length + 12
    return [*parts, (b"rest", png[place:])] if png[place:] else parts


def bare_pixels(png: bytes) -> NDArray[np.uint8]:
    """Returns the pixels of an 8-bit grey PNG that holds nothing else.

    Raises:
        AssertionError: It holds anything else: text, times, profiles, bytes behind the pixels or behind the file.
    """
    parts = chunks(png)
    names = [name for name, _ in parts]
    assert names == [b"IHDR", *[b"IDAT"] * (len(names) - 2), b"IEND"], names
    width, height, *kind = struct.unpack(">IIBBBBB", parts[0][1])
    assert kind == [8, 0, 0, 0, 0], kind
    inflate = zlib.decompressobj()
    rows = inflate.decompress(b"".join(data for name, data in parts if name == b"IDAT"))
    assert inflate.eof and not inflate.unused_data and len(rows) == height * (width + 1) and not parts[-1][1]
    from io import BytesIO

    from PIL import Image

    return np.asarray(Image.open(BytesIO(png)))
