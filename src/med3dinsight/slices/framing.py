"""The black frame around a slice: marks of orientation, what is shown, a scale bar. Nothing covers the slice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Lengths of a scale bar in mm; the longest that takes no more than a third of the picture is drawn.
_BARS_MM = (1, 2, 5, 10, 20, 50, 100, 200)
#: Height of letters as a share of the picture's longer edge, and its limits in pixels.
_TEXT_SHARE, _LEAST_TEXT, _MOST_TEXT = 1 / 28, 12, 28


def framed(
    picture: NDArray[np.uint8], marks: tuple[str, str, str, str], lines: tuple[str, str], pixel_mm: float
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Puts a frame around a picture.

    Args:
        picture: ``(rows, columns)`` or ``(rows, columns, 3)`` uint8 with square pixels.
        marks: Letters left, right, above and below.
        lines: Written below, beside the scale bar.
        pixel_mm: Edge of a pixel, for the scale bar.

    Returns:
        The framed picture, and the row and column of it where the picture begins.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = picture.shape[:2]
    text = round(min(max(_TEXT_SHARE * max(height, width), _LEAST_TEXT), _MOST_TEXT))
    font = ImageFont.load_default(text)
    length = bar_mm(width * pixel_mm)
    bar, bar_text = round(length / pixel_mm), f"{length} mm"
    # A narrow picture gets a frame that is wide enough for what is written.
    written = max(font.getlength(line) for line in lines) + text + max(bar, font.getlength(bar_text))
    side, margin, step = max(2 * text, round((written + text - width) / 2)), 2 * text, round(1.4 * text)
    across, foot = width + 2 * side, height + 2 * margin
    canvas = Image.new("RGB", (across, foot + 2 * step))
    canvas.paste(Image.fromarray(np.ascontiguousarray(picture)).convert("RGB"), (side, margin))
    draw, white = ImageDraw.Draw(canvas), (255, 255, 255)
    middle_x, middle_y = side + width / 2, margin + height / 2
    beside = ((side - text, middle_y), (side + width + text, middle_y))
    above = ((middle_x, margin / 2), (middle_x, margin + height + margin / 2))
    for place, letters in zip((*beside, *above), marks, strict=True):
        draw.text(place, letters, fill=white, font=font, anchor="mm")
    inset = text // 2
    for number, line in enumerate(lines):
        draw.text((inset, foot + number * step), line, fill=white, font=font)
    draw.text((across - inset, foot), bar_text, fill=white, font=font, anchor="ra")
    first, last, row = across - inset - bar, across - inset - 1, foot + step + text // 2
    draw.line([(first, row), (last, row)], fill=white)
    for end in (first, last):
        draw.line([(end, row - text // 3), (end, row + text // 3)], fill=white)
    return np.asarray(canvas), (margin, side)


def bar_mm(width_mm: float) -> int:
    """Returns the length of the scale bar of a picture in mm: at most a third of its width where that can be.

    Example:
        >>> bar_mm(360.0)
        100
    """
    return max((length for length in _BARS_MM if length <= width_mm / 3), default=_BARS_MM[0])
