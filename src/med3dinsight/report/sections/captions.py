"""Example slices with the texts that every captioner gave them."""

from __future__ import annotations

from dataclasses import dataclass

from ...records import SliceRef
from ...slices.rendering import SliceRenderer, SliceView, png
from ...types import Plane
from ...workspace.caption_store import CaptionStore
from ...workspace.voxel_store import VoxelStore
from ..config import ReportConfig
from ..inputs import Inputs
from ..pictures import MARKS, Picture, display_size, png_uri
from ..tables import Table
from ..wording import count, percent
from .caption_audits import caption_audits

#: What a captioner is, in words that nobody can take for more; others are shown by their name alone.
CAPTIONER_WORDS = {
    "tissue": "rule-based describer, not a language model",
    "template": "control: modality, plane and place only",
    "shuffled": "control: the text of another slice of the same person, dealt out wrongly on purpose",
}
_WIDTH, _TALLEST = 208, 260
#: Share of a picture that is enough of the body.
_ENOUGH = 0.5
_ENDS = {Plane.AXIAL: ("foot", "head end"), Plane.CORONAL: ("back", "front"), Plane.SAGITTAL: ("left", "right")}


@dataclass(frozen=True)
class Text:
    """A captioner, what it is, and its text."""

    captioner: str
    words: str
    text: str


@dataclass(frozen=True)
class Example:
    """A slice with its texts; ``place`` says which case, plane and position."""

    picture: Picture
    case: str
    place: str
    texts: tuple[Text, ...]


@dataclass(frozen=True)
class CaptionSection:
    """Counts of texts a captioner, one sentence each, how far each can be trusted, and the examples.

    Attributes:
        counts: As above.
        audits: The scores of the captioners that were audited, or None where none was.
        remarks: Which captioners were not audited, or have written anew since.
        examples: Slices with their texts.
    """

    counts: tuple[str, ...]
    audits: Table | None
    remarks: tuple[str, ...]
    examples: tuple[Example, ...]


def captioner_in_words(name: str) -> str:
    """Returns a captioner's name with what it is.

    Example:
        >>> captioner_in_words("tissue")
        'tissue (rule-based describer, not a language model)'
    """
    return f"{name} ({CAPTIONER_WORDS[name]})" if name in CAPTIONER_WORDS else name


def caption_section(inputs: Inputs, config: ReportConfig) -> CaptionSection | None:
    """Shows slices of as many cases as asked for, in the three planes by turns; None where nothing was captioned."""
    records = inputs.of_stage("caption")
    if not records:
        return None
    # Texts are kept under the folder's name; two models may be asked by one captioner.
    written = {folder.rpartition("/")[2]: int(record.result["captioned"]) for folder, record in records.items()}
    # Controls deal with texts of others: those first.
    captioners = sorted(written, key=lambda name: (name == "shuffled", name))
    counts = tuple(f"{captioner_in_words(name)}: {count(written[name], 'slice')}" for name in captioners)
    audits, remarks = caption_audits(inputs, captioners)
    return CaptionSection(counts, audits, remarks, _examples(inputs, captioners, config.example_slices))


def _examples(inputs: Inputs, captioners: list[str], amount: int) -> tuple[Example, ...]:
    store = VoxelStore(inputs.workspace.prepared)
    renderer = SliceRenderer(store)
    with CaptionStore(inputs.workspace.captions) as ledger:
        texts = {name: ledger.texts(name) for name in captioners}
        first_crops: dict[str, list[SliceRef]] = {}
        for ref in ledger.slices():
            refs = first_crops.setdefault(ref.crop.case, [])
            if not refs or refs[0].crop == ref.crop:
                refs.append(ref)
    examples = []
    for number, case in enumerate([case.id for case in inputs.cases if case.id in first_crops][:amount]):
        plane = Plane(number % len(Plane))
        ref, view = _middle(renderer, [ref for ref in first_crops[case] if ref.plane == plane])
        told = [name for name in captioners if ref.key in texts[name]]
        found = [Text(name, CAPTIONER_WORDS.get(name, ""), texts[name][ref.key]) for name in told]
        examples.append(_example(case, view, tuple(found)))
    return tuple(examples)


def _middle(renderer: SliceRenderer, refs: list[SliceRef]) -> tuple[SliceRef, SliceView]:
    """Returns the slice nearest to the middle of its crop of those that show enough of the body."""
    views = [(ref, renderer.view(ref)) for ref in refs]
    return max(
        views, key=lambda pair: (min(_ENOUGH, float(pair[1].body.mean())), -abs(pair[0].relative_position - 0.5))
    )


def _example(case: str, view: SliceView, texts: tuple[Text, ...]) -> Example:
    low, high = _ENDS[view.plane]
    place = f"{view.plane.name.lower()}, {percent(view.position)} of the way from {low} to {high}"
    shown = view.without_padding()
    width, height = display_size(shown.pixels.shape, shown.spacing_mm, _WIDTH, _TALLEST)
    # Twice the size on the page: sharp on screens with fine pixels.
    scale = max(1, 2 * width // shown.pixels.shape[1])
    content = png(shown.pixels, row_stretch=shown.spacing_mm[0] / shown.spacing_mm[1], scale=scale)
    alt = f"{view.modality.upper()} slice of {case}: {place}"
    return Example(Picture(png_uri(content), alt, width, height, MARKS[view.plane]), case, place, texts)
