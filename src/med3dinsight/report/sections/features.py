"""2D features: which towers, what they are, and how well pictures find their texts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ...towers.registry import TOWERS
from ...workspace.caption_store import CaptionStore
from ...workspace.provenance import StageRecord
from ..inputs import Inputs
from ..tables import Table, plain_table
from ..wording import count, listed, percent
from .captions import captioner_in_words

#: Slices in the retrieval gallery of the stage ``embed``, at most.
_GALLERY = 256


@dataclass(frozen=True)
class FeatureSection:
    """What the towers are, a sentence each, and the table of retrieval."""

    towers: tuple[str, ...]
    table: Table


def feature_section(inputs: Inputs) -> FeatureSection | None:
    """Describes towers and retrieval; None where nothing was embedded."""
    records = inputs.of_stage("embed")
    if not records:
        return None
    ordered = sorted(records.values(), key=lambda record: record.result["captioner"] == "shuffled")
    rows = []
    for record in ordered:
        result, held_out = record.result, set(record.config.get("held_out", ()))
        slices = _slices_by_case(inputs, result["captioner"])
        tested = sum(slices[case.id] for case in inputs.cases if not held_out or case.subject in held_out)
        rows.append(
            (
                captioner_in_words(result["captioner"]),
                f"{result['projection']}, tested on {_whom(result['retrieval_people'], sorted(held_out))}",
                percent(result["retrieval_before"], 1),
                percent(result["retrieval_after"], 1),
                percent(result["retrieval_training"], 1),
                percent(1 / min(_GALLERY, tested) if tested else None, 1),
            )
        )
    head = ("Texts by", "Projections", "Before", "After", "On training people", "Chance")
    caption = f"How often a picture finds its own text among at most {_GALLERY} (image-to-text R@1)"
    return FeatureSection(
        tuple(dict.fromkeys(_tower_words(record) for record in ordered)),
        plain_table(caption, head, rows, texts=2),
    )


def _slices_by_case(inputs: Inputs, captioner: str) -> Counter[str]:
    """Counts the slices with a text of a captioner."""
    if not inputs.of_stage("caption"):
        return Counter()  # the captions were cleaned away
    with CaptionStore(inputs.workspace.captions) as ledger:
        texts = ledger.texts(captioner)
        return Counter(ref.crop.case for ref in ledger.each_slice() if ref.key in texts)


def _whom(people: str, held_out: list[str]) -> str:
    return f"held-out {listed(held_out)}" if people == "held out" and held_out else f"{people} people"


def _tower_words(record: StageRecord) -> str:
    result, name = record.result, record.result["towers"]
    entry = TOWERS.get(name)
    what = f": {entry.kind} ({entry.source})" if entry is not None else ""
    slices = count(result["slices"], "slice")
    how = f"{slices} embedded once and then kept fixed"
    if record.config.get("when") == "drawn":
        how = f"projections fitted and tested on {slices}, others embedded once when a run draws them"
    if (tuned := result.get("tuned", "")) not in ("", "linear"):
        how = f"fine-tuned ({tuned}) on slices and texts of people who are not held out; {how}"
    if bare := result.get("without_text", 0):
        how += f"; {count(bare, 'slice')} without a text of {result['captioner']} left out"
    return f"{name}{what}; {how}"
