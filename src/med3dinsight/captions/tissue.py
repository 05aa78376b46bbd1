"""The embedded default captioner: a rule-based describer of tissues, label-free.

It is no language model. It measures Hounsfield units (CT) or brightness (MR, and CT whose values were
normalised before they came here) inside the body's outline and fills what it measured into sentences;
the same slice always gets the same text.
"""

from __future__ import annotations

from ..slices.rendering import SliceView
from .tissue_ct import describe_ct
from .tissue_mr import describe_mr
from .wording import MODALITY_WORDS, outer_surface, slice_place

#: Longest text; what a text encoder reads costs time, and the findings stand in order of importance.
MAX_WORDS = 36
EMPTY_TEXT = "Empty slice outside of the body, no tissue."


class TissueDescriber:
    """Describes which tissues are where and how much; see the module's docstring.

    Args:
        max_words: Longest text in words.
    """

    def __init__(self, max_words: int = MAX_WORDS) -> None:
        self.max_words = max_words

    def describe(self, view: SliceView) -> str:
        """Returns a text of at most ``max_words`` words; findings first, then plane, place and modality."""
        view = view.without_padding().with_square_pixels()
        if not view.shows_body:
            return EMPTY_TEXT
        findings = describe_ct(view) if view.in_hounsfield else describe_mr(view)
        findings.append(outer_surface(view))
        end = f"{view.plane.name.capitalize()} {MODALITY_WORDS[view.modality]} {slice_place(view)}."
        room = self.max_words - len(end.split())
        return " ".join([*_fitting([finding for finding in findings if finding], room), end])


def _fitting(findings: list[str], room: int) -> list[str]:
    sentences = []
    for finding in findings:
        room -= len(finding.split())
        if room < 0:
            break
        sentences.append(finding[0].upper() + finding[1:] + ".")
    return sentences
