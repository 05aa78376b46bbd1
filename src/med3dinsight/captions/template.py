"""The control captioner ``template``: metadata only, the picture is not looked at.

What an encoder gains from these texts it gains without anything being said about the anatomy.
"""

from __future__ import annotations

from ..slices.rendering import SliceView
from .wording import MODALITY_WORDS, scan_place


class TemplateCaptioner:
    """Names modality, plane and place in the scan."""

    def describe(self, view: SliceView) -> str:
        """Returns a text such as "An axial CT slice in the upper third of the scan."."""
        name = view.plane.name.lower()
        article = "An" if name.startswith("a") else "A"
        return f"{article} {name} {MODALITY_WORDS[view.modality]} slice {scan_place(view)}."
