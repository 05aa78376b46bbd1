"""What the header of a DICOM file says of its picture: writing burnt into it, a screen capture, ultrasound, colour."""

from __future__ import annotations

from typing import Any

from .dicom_planes import Facts

#: A file says YES, or something else that is not NO; and a file that says nothing.
BURNED_IN, NOT_SAID = "burned-in", "burned-in-not-said"
SECONDARY_CAPTURE, ULTRASOUND, COLOUR = "secondary-capture", "ultrasound", "colour"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_CAPTURES = tuple(f"{_STORAGE}7{end}" for end in ("", ".1", ".2", ".3", ".4"))
_ULTRASOUND = (f"{_STORAGE}3", f"{_STORAGE}6")
_SCREEN = ("SCREEN SAVE", "SCREENSAVE", "SCREEN CAPTURE", "SCREENSHOT")


def picture_flags(data: Facts) -> tuple[str, ...]:
    """Returns what may carry a name in the pixels, by the elements of one file.

    Example:
        >>> picture_flags({"BurnedInAnnotation": "NO", "PhotometricInterpretation": "MONOCHROME2"})
        ()
        >>> picture_flags({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"})
        ('burned-in-not-said', 'secondary-capture')
    """
    burned = _word(data.get("BurnedInAnnotation"))
    kind = str(data.get("SOPClassUID") or "").strip()
    image_type = data.get("ImageType")
    words = [_word(image_type)] if image_type is None or isinstance(image_type, str) else [*map(_word, image_type)]
    told = {
        BURNED_IN: burned not in ("NO", ""),
        NOT_SAID: burned == "",
        SECONDARY_CAPTURE: kind in _CAPTURES or any(word in _SCREEN for word in words),
        ULTRASOUND: kind.startswith(tuple(f"{uid}." for uid in _ULTRASOUND))
        or kind in _ULTRASOUND
        or _word(data.get("Modality")) in ("US", "IVUS"),
        COLOUR: not _word(data.get("PhotometricInterpretation") or "MONOCHROME2").startswith("MONOCHROME"),
    }
    return tuple(flag for flag, holds in told.items() if holds)


def _word(value: Any) -> str:
    return " ".join(str(value or "").upper().split())
