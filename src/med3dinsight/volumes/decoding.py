"""From the bytes of a file to those of its voxels: to the end of the stream, and not a byte beyond what was declared.

Neither half a file, nor one whose checksum differs, nor a bomb passes.
"""

from __future__ import annotations

import bz2
import zlib
from typing import Any

from isal import igzip, igzip_lib, isal_zlib

from ..errors import InputError
from .inflating import GZIP, inflate

#: Largest decoded file that is accepted, in bytes.
MAX_BYTES = 16 << 30
#: A deflate stream cannot grow by more than this factor.
MAX_RATIO = 1032
#: Some writers pad files; more bytes than this after the voxels make a file wrong.
MAX_TRAILING = 1 << 16
#: What the decoders raise on streams that are cut or damaged.
_DAMAGE: Any = (EOFError, zlib.error, igzip_lib.IsalError, OSError)
_TRUNCATED = "copy or download it again: it ends too early or is damaged"


def check_size(size: int, file_bytes: int, encoding: str, name: str) -> None:
    """Compares what a header declares with the size of the file, before anything is read or allocated.

    Args:
        size: Bytes of the decoded content that the header declares.
        file_bytes: Bytes of the file that hold it.
        encoding: "raw", "gzip", "zlib" or "bzip2".
        name: Name of the file, for messages.

    Raises:
        InputError: It cannot fit: too little or too much of it.
    """
    if size > MAX_BYTES:
        raise InputError(
            f"{name} would take {size >> 30} GiB in memory", f"files of up to {MAX_BYTES >> 30} GiB are read"
        )
    if encoding != "bzip2" and size > file_bytes * (1 if encoding == "raw" else MAX_RATIO):
        raise InputError(
            f"{name} is truncated: its header declares {size} bytes of content, the file has {file_bytes}", _TRUNCATED
        )
    if file_bytes > size + size // 64 + 2 * MAX_TRAILING:  # what cannot be packed grows a little when packed
        raise _surplus(name)


def decode(raw: bytes | memoryview, size: int, encoding: str, name: str) -> bytes | memoryview:
    """Decodes a stream to its end.

    Args:
        raw: The stream.
        size: Bytes that it must hold when decoded; at most 64 KiB may follow.
        encoding: "raw", "gzip", "zlib" or "bzip2".
        name: Name of the file, for messages.

    Returns:
        At least ``size`` bytes.

    Raises:
        InputError: It ends too early, goes on too long, or is damaged.
    """
    limit = size + MAX_TRAILING
    try:
        content = raw if encoding == "raw" else inflate(raw, limit) if encoding == "gzip" else None
        content = _unpack(raw, limit, encoding) if content is None else content
    except _DAMAGE as error:
        raise InputError(f"{name} is truncated or damaged: {error}", _TRUNCATED) from None
    if len(content) < size:
        raise InputError(f"{name} is truncated: {len(content)} of {size} bytes", _TRUNCATED)
    if len(content) > limit:
        raise _surplus(name)
    return content


def first_bytes(handle: Any, count: int, name: str) -> bytes:
    """Returns the first bytes of a file, decompressed where it is a gzip stream.

    Raises:
        InputError: The stream is damaged, or ends within them.
    """
    packed = handle.read(2) == GZIP
    handle.seek(0)
    stream: Any = igzip.IGzipFile(fileobj=handle, mode="rb") if packed else handle
    try:
        return bytes(stream.read(count))
    except _DAMAGE as error:
        raise InputError(f"{name} is truncated or damaged: {error}", _TRUNCATED) from None


def _unpack(raw: bytes | memoryview, limit: int, encoding: str) -> bytes:
    decoder: Any = bz2.BZ2Decompressor() if encoding == "bzip2" else isal_zlib.decompressobj()
    content: bytes = decoder.decompress(raw, limit + 1)
    if len(content) <= limit and not decoder.eof:  # the checksum stands at the very end
        raise EOFError("the compressed stream ends too early")
    if len(decoder.unused_data) > MAX_TRAILING:
        raise zlib.error("something else follows the compressed stream")
    return content


def _surplus(name: str) -> InputError:
    return InputError(f"{name} holds more than its header declares", "export it again: header and voxels differ")
