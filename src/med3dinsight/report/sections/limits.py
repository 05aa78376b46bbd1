"""The limits of what the page shows, in plain words, from the data themselves."""

from __future__ import annotations

import re

from ...towers.registry import TOWERS
from ..inputs import Inputs
from ..wording import count, listed
from .data import test_subjects

_DRAWN_BY_MODEL = re.compile(r"label[^.]*\bmodel\b", re.IGNORECASE)
_AVERAGE = re.compile(r"\baverage of many\b|\btemplate\b", re.IGNORECASE)


def limits(inputs: Inputs) -> tuple[str, ...]:
    """Returns the limits, a paragraph each."""
    tested = test_subjects(inputs)
    found = [_people(inputs, tested), *_labels(inputs, tested)]
    found += _stand_ins(inputs)
    if inputs.fine_tuned:
        found.append(
            "Fine-tuning is short and its seeds scatter: with a few seeds only large differences can be told from "
            "chance. More seeds do not replace more people."
        )
    documents = (inputs.scores or {}, inputs.classification or {})
    compared = [row for document in documents for row in document.get("comparisons", ())]
    if any(row.get("scope") == "within subject" for row in compared):
        found.append(
            "An interval marked “within subject” is about pieces of one person's scan and about seeds. It says nothing "
            "about how the next person would come out."
        )
    if inputs.localization:
        found.append(
            "Slice localisation has no interval: it is one figure a person and pre-training seed, to be read beside "
            "its controls. Naming the right plane is not counted as success: the position embedding alone achieves it."
        )
    found.append("Nothing here is about diagnosis or treatment, and no clinical claim can rest on it.")
    return tuple(found)


def _people(inputs: Inputs, tested: list[str]) -> str:
    subjects = {case.subject for case in inputs.cases}
    averages = sorted({case.subject for case in inputs.cases if _AVERAGE.search(case.origin)})
    text = f"{count(len(inputs.cases), 'volume')} of {count(len(subjects), 'subject')} were prepared"
    if averages:
        text += f" ({listed(averages)}: an average of many people, as its origin says)"
    if not tested:
        return f"{text}, and nothing was tested on anybody yet."
    whom = f"one test subject, {tested[0]}" if len(tested) == 1 else f"{len(tested)} test subjects, {listed(tested)}"
    return f"{text}, and every test result is about {whom}: far too few to say how the method does in people at large."


def _stand_ins(inputs: Inputs) -> list[str]:
    towers = {str(record.result["towers"]) for record in inputs.of_stage("embed").values()}
    stand_ins = sorted(name for name in towers if name in TOWERS and "stand-in" in TOWERS[name].kind)
    found = []
    if stand_ins:
        found.append(
            f"The 2D towers {listed(stand_ins)} are small general-purpose networks that stand in for a CLIP trained on "
            "medical pictures. Results with a real one may differ in either direction."
        )
    if any(record.result["captioner"] == "tissue" for record in inputs.of_stage("caption").values()):
        found.append(
            "The texts of tissue come from fixed rules on intensities, not from a language model: they stand in for "
            "those of a multimodal model, and tell tissues, sizes and places only."
        )
    return found


def _labels(inputs: Inputs, tested: list[str]) -> list[str]:
    labelled = [case for case in inputs.cases if case.has_label and case.subject in tested]
    if not labelled or not inputs.finetuning:
        return []
    by_model = [case.id for case in labelled if _DRAWN_BY_MODEL.search(case.origin)]
    if not by_model:
        return ["Scores are agreement with the given label maps: who drew them, and how well, limits what they mean."]
    return [
        f"The label map of {listed(by_model)} was drawn by a segmentation model, as its origin says. Dice, HD95 and "
        "NSD are agreement with that model, mistakes included, and not with a radiologist."
    ]
