"""The captioner ``anatomy``: names the structures that the label map has in the slice.

Its texts are labels in words. They show what an encoder gains from texts that are true, and they must never be about
anybody who is tested; :mod:`med3dinsight.captions.labelled` keeps to that.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from ..slices.rendering import SliceView
from ..types import Plane
from .regions import pixel_cm2
from .tissue import EMPTY_TEXT
from .wording import MODALITY_WORDS, body_fractions, place, right_half, slice_place, square_cm

#: Longest text; as :data:`~med3dinsight.captions.tissue.MAX_WORDS`.
MAX_WORDS = 48
#: Less of a structure than this is not worth a word.
_LEAST_CM2 = 0.2
#: Structures with their size and place; those after them are named only.
_WITH_SIZE = 4
#: A structure whose name has no side is on both where this share of it is on either.
_BOTH_SHARE = 0.2
#: Unless this share of it is in the midline, as of a vertebra: so far to either side of it, of the body's width.
_MIDLINE_SHARE, _MIDLINE = 0.5, 0.08


class AnatomyDescriber:
    """Names the labelled structures of a slice, the largest first; see the module's docstring.

    Args:
        max_words: Longest text in words.
    """

    def __init__(self, max_words: int = MAX_WORDS) -> None:
        self.max_words = max_words

    def describe(self, view: SliceView) -> str:
        """Returns which structures are in the slice, how large and where, then plane, place and modality.

        Args:
            view: With its labels; they must have been asked for.

        Raises:
            ValueError: It has none.
        """
        if view.labels is None:
            raise ValueError("anatomy reads label maps, and this slice has none")
        view = view.without_padding().with_square_pixels()
        if not view.shows_body:
            return EMPTY_TEXT
        structures = _structures(view)
        end = f"{view.plane.name.capitalize()} {MODALITY_WORDS[view.modality]} {slice_place(view)}."
        if not structures:
            return f"No labelled structure. {end}"
        room = self.max_words - len(end.split())
        sentences: list[str] = []
        for name, area, where in structures[:_WITH_SIZE]:
            sentence = f"{name[0].upper()}{name[1:]} of {square_cm(area)} {where}."
            room -= len(sentence.split())
            if room < 0:
                return " ".join([*sentences, end])
            sentences.append(sentence)
        others = _fitting([name for name, _, _ in structures[_WITH_SIZE:]], room - 1)
        return " ".join([*sentences, *([f"Also {', '.join(others)}."] if others else []), end])


def name_in_words(name: str) -> str:
    """Writes a label's name as a text would, its side first.

    Example:
        >>> name_in_words("kidney_right"), name_in_words("lung_upper_lobe_left"), name_in_words("vertebrae_L1")
        ('right kidney', 'left lung upper lobe', 'vertebrae L1')
    """
    words = [word if re.search(r"\d", word) else word.lower() for word in re.findall(r"[^\W_]+", name)]
    side = next((word for word in words if word in ("right", "left")), None)
    return " ".join(words if side is None else [side, *(word for word in words if word != side)])


def _structures(view: SliceView) -> list[tuple[str, float, str]]:
    assert view.labels is not None
    # Several values may be called the same, as ribs often are.
    values: dict[str, list[int]] = {}
    present = set(np.unique(view.labels).tolist()) - {0}
    for value, name in view.label_names:
        if value in present and (words := name_in_words(name)):
            values.setdefault(words, []).append(value)
    found = []
    for name, numbers in values.items():
        mask = np.isin(view.labels, numbers)
        area = float(mask.sum()) * pixel_cm2(view)
        if area < _LEAST_CM2:
            continue
        rows, columns = np.nonzero(mask)
        where = place(view, float(rows.mean()), float(columns.mean()))
        if name.startswith(("right ", "left ")):
            where = where.removeprefix("in the midline ")  # near it: the name says on which side
        elif view.plane is not Plane.SAGITTAL and _is_on_both_sides(view, columns):
            where = "on both sides"
        found.append((name, area, where))
    return sorted(found, key=lambda item: (-item[1], item[0]))


def _is_on_both_sides(view: SliceView, columns: NDArray[np.intp]) -> bool:
    right = float(right_half(view)[columns].mean())
    _, across = body_fractions(view, columns, columns)
    in_midline = float((np.abs(across - 0.5) < _MIDLINE).mean())
    return _BOTH_SHARE <= right <= 1 - _BOTH_SHARE and in_midline < _MIDLINE_SHARE


def _fitting(names: list[str], room: int) -> list[str]:
    kept = []
    for name in names:
        room -= len(name.split())
        if room < 0:
            break
        kept.append(name)
    return kept
