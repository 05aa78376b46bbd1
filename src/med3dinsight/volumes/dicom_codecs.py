"""Compressed DICOM planes: the fragments of each, and their decoders.

SimpleITK decodes RLE, JPEG, JPEG-LS and JPEG 2000. It never sees a stranger's header: each plane is
handed over in a file of our own that holds nothing but how it is coded. High-throughput JPEG 2000
needs the codecs of the extra ``dicom``.
"""

from __future__ import annotations

import io
import re
import struct
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .dicom_records import Pixels

_ROOT = "1.2.840.10008.1.2."
Codec = Literal["rle", "jpeg", "jpeg2000", "htj2k"]
#: Transfer syntaxes of compressed planes, and the family of codecs they belong to.
CODECS: dict[str, Codec] = {
    _ROOT + "5": "rle",
    **dict.fromkeys((_ROOT + end for end in ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81")), "jpeg"),
    **dict.fromkeys((_ROOT + end for end in ("4.90", "4.91")), "jpeg2000"),
    **dict.fromkeys((_ROOT + end for end in ("4.201", "4.202", "4.203")), "htj2k"),
}
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
#: Bytes that may follow the end of a compressed picture.
_MAX_PADDING = 1 << 12
_AGAIN = "copy or export it again"


def split_frames(data: memoryview, count: int, name: str) -> list[bytes]:
    """Puts the fragments of encapsulated voxels together, frame by frame.

    Args:
        data: From the first item (the table of offsets) on.
        count: Number of frames.
        name: Of the file, for the messages.

    Raises:
        InputError: A fragment reaches beyond the file, or the fragments belong to no frames.
    """
    items: list[tuple[int, bytes]] = []
    place = 0
    while True:
        head = bytes(data[place : place + 8])
        if head[:4] == _END or (not head and items):
            break
        if len(head) < 8 or head[:4] != _ITEM:
            raise InputError(f"{name} is truncated: its compressed voxels have no end", _AGAIN)
        length = int(struct.unpack("<I", head[4:])[0])
        if place + 8 + length > len(data):
            raise InputError(f"{name} is truncated: {len(data) - place - 8} of {length} bytes of a fragment", _AGAIN)
        items.append((place, bytes(data[place + 8 : place + 8 + length])))
        place += 8 + length
    table, fragments = (items[0][1], items[1:]) if items else (b"", [])
    if count == 1 and fragments:
        return [b"".join(part for _, part in fragments)]
    if len(fragments) == count:
        return [part for _, part in fragments]
    offsets = np.frombuffer(table[: len(table) // 4 * 4], "<u4").astype(np.int64)
    if len(offsets) != count or not fragments or (np.diff(offsets) <= 0).any():
        raise InputError(f"{name} holds {len(fragments)} fragments for {count} frames", _AGAIN)
    owner = np.searchsorted(offsets, [at - fragments[0][0] for at, _ in fragments], side="right") - 1
    return [b"".join(part for (_, part), own in zip(fragments, owner, strict=True) if own == n) for n in range(count)]


class Decoder:
    """Decodes compressed planes; it keeps one folder for the files that it hands over, and removes it."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._heads: dict[Any, bytes] = {}

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def decode(self, frame: bytes, pixels: Pixels, size: tuple[int, int], name: str) -> NDArray[Any]:
        """Returns the stored values of a plane, ``(row, column)``.

        Args:
            frame: Its compressed bytes.
            pixels: How the file stores its voxels.
            size: Columns and rows, as the header says.
            name: Of the file, for the messages.

        Raises:
            InputError: The bytes are damaged or of another size, or the codec is not installed.
        """
        codec = CODECS[pixels.syntax]
        coded = size if codec == "rle" else coded_size(frame, codec)
        if coded != size:
            found = "none" if coded is None else f"{coded[0]} x {coded[1]} voxels"
            raise InputError(f"{name}: its header declares {size[0]} x {size[1]} voxels, its picture {found}", _AGAIN)
        # Decoders fill what is missing with grey, and do not tell.
        if codec != "rle" and not frame[-_MAX_PADDING:].rstrip(b"\0\xff").endswith(b"\xff\xd9"):
            raise InputError(f"{name} is truncated: its compressed picture has no end", _AGAIN)
        if codec == "htj2k":
            values = _decode_htj2k(frame, pixels, size, name)
        else:
            values = self._decode(frame, pixels, size, name)
        if values.shape != (size[1], size[0]):
            raise InputError(f"{name} was decoded to {values.shape} voxels, not one slice", _AGAIN)
        return values

    def _decode(self, frame: bytes, pixels: Pixels, size: tuple[int, int], name: str) -> NDArray[Any]:
        import SimpleITK

        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="med3dinsight-")
        key = (pixels.syntax, pixels.bits, pixels.signed, size)
        if key not in self._heads:
            self._heads[key] = _head(pixels, size)
        even = frame + b"\0" * (len(frame) % 2)
        path = Path(self._folder.name) / "plane.dcm"
        body = _ITEM + struct.pack("<I", 0) + _ITEM + struct.pack("<I", len(even)) + even + _END + b"\0\0\0\0"
        path.write_bytes(self._heads[key] + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + body)
        reader = SimpleITK.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        try:
            values = SimpleITK.GetArrayFromImage(reader.Execute())
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip().replace(str(path), name)
            raise InputError(f"{name} cannot be decoded: {reason}", _AGAIN) from None
        kind = np.dtype(f"{'i' if pixels.signed else 'u'}{pixels.bits[0] // 8}")
        return values[0].astype(kind) if values.ndim == 3 and len(values) == 1 else values


def _head(pixels: Pixels, size: tuple[int, int]) -> bytes:
    """Writes the header of a file with one compressed plane, up to its voxels."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, SecondaryCaptureImageStorage

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, UID("2.25.1")
    meta.TransferSyntaxUID = UID(pixels.syntax)
    data = FileDataset("plane", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, UID("2.25.1")
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Columns, data.Rows = size
    data.BitsAllocated, data.BitsStored, data.HighBit = pixels.bits
    data.PixelRepresentation = int(pixels.signed)
    buffer = io.BytesIO()
    data.save_as(buffer)
    return buffer.getvalue()


def _decode_htj2k(frame: bytes, pixels: Pixels, size: tuple[int, int], name: str) -> NDArray[Any]:
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    decoder = get_decoder(UID(pixels.syntax))
    if "pylibjpeg" not in decoder.available_plugins:
        raise InputError(
            f"{name} is compressed by high-throughput JPEG 2000, whose codec is not installed",
            "pip install 'med3dinsight[dicom]'",
        )
    options: dict[str, Any] = {
        "rows": size[1],
        "columns": size[0],
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": pixels.bits[0],
        "bits_stored": pixels.bits[1],
        "pixel_representation": int(pixels.signed),
        "pixel_keyword": "PixelData",
    }
    try:
        values, _ = decoder.as_array(encapsulate([frame]), decoding_plugin="pylibjpeg", raw=True, index=0, **options)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{name} cannot be decoded: {str(error).splitlines()[0]}", _AGAIN) from None
    return values


def coded_size(frame: bytes, codec: Codec) -> tuple[int, int] | None:
    """Returns the columns and rows that a JPEG or JPEG 2000 stream declares; None where it is neither.

    A decoder allocates what the stream says: a lie must be found before it is handed over.
    """
    if codec in ("jpeg2000", "htj2k"):
        start = frame.find(b"\xff\x4f\xff\x51")
        if start < 0 or len(frame) < start + 24:
            return None
        right, bottom, left, top = struct.unpack(">4I", frame[start + 8 : start + 24])
        return right - left, bottom - top
    place = 2 if frame[:2] == b"\xff\xd8" else len(frame)
    while place + 9 <= len(frame) and frame[place] == 0xFF:
        marker, length = frame[place + 1], int(struct.unpack(">H", frame[place + 2 : place + 4])[0])
        if marker == 0xF7 or re.fullmatch(rb"[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]", bytes([marker])):
            rows, columns = struct.unpack(">HH", frame[place + 5 : place + 9])
            return columns, rows
        place += 1 if marker == 0xFF else 2 + length
    return None
