"""What this shows: the key figures in words, computed from the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..claims import LEVEL, Target, chance, difference_in_words, judge, localization_targets
from ..config import ReportConfig
from ..inputs import Inputs, Run
from ..wording import count, interval, listed, number, percent, signed
from .captions import captioner_in_words
from .data import people_of, runs_of_unknown_origin, seen_test_subjects, test_subjects
from .localization import control_lacks_pictures
from .segmentation import mean_of_classes

#: Below this Dice two label maps share less than a third of what either covers.
_POOR_DICE = 0.5


@dataclass(frozen=True)
class Figure:
    """A key figure: its value, what it is, what it must be read beside, and whether it may be claimed."""

    value: str
    label: str
    beside: str
    claimed: bool = True


@dataclass(frozen=True)
class Summary:
    """The lead, the key figures, what they say in sentences, and the targets of each arm."""

    lead: str
    figures: tuple[Figure, ...]
    sentences: tuple[str, ...]
    targets: tuple[tuple[str, Target], ...]


def summary(inputs: Inputs, config: ReportConfig) -> Summary:
    """Says what the finished stages show; what was not run is said to be missing."""
    arms = inputs.localization or {}
    dice = [row for row in (inputs.scores or {}).get("comparisons", ()) if row["metric"] == "dice"]
    auroc = [row for row in (inputs.classification or {}).get("comparisons", ()) if row["metric"] == "auroc"]
    figures: list[Figure] = []
    if arms:
        name, row = next(iter(arms.items()))
        figures += _localization_figures(name, row, _control_in_words(inputs, name))
    if dice:
        figures.append(_difference_figure(dice[0], "mean Dice"))
    if auroc:
        figures.append(_difference_figure(auroc[0], "AUROC"))
    return Summary(
        lead=_lead(inputs),
        figures=tuple(figures),
        sentences=(*_localization_sentences(inputs, arms), *_finetuning_sentences(inputs, dice, auroc)),
        targets=tuple((name, target) for name, row in arms.items() for target in localization_targets(row, config)),
    )


def _lead(inputs: Inputs) -> str:
    subjects = len({case.subject for case in inputs.cases})
    text = f"{count(len(inputs.cases), 'scan')} of {count(subjects, 'subject')} were prepared."
    written = {record.result["captioner"]: record.result["captioned"] for record in inputs.of_stage("caption").values()}
    writers = [name for name in written if name != "shuffled"]
    if writers:
        writer, slices = captioner_in_words(writers[0]), count(written[writers[0]], "slice")
        text += f" {slices} of them were put into words by {writer}."
    if trained := [run for run in inputs.pretraining if run.record.result["steps"]]:
        text += f" {_pretraining_in_words(trained)}"
    tested = test_subjects(inputs)
    if tested and inputs.pretraining and not (seen_test_subjects(inputs) or runs_of_unknown_origin(inputs)):
        text += f" Nothing of {listed(tested)} entered any training; that is whom the results are about."
    return text


def _pretraining_in_words(runs: list[Run]) -> str:
    """Says what was pre-trained, by which methods, for how long and on how many people."""
    encoders = list(dict.fromkeys(str(run.facts["encoder"]) for run in runs))
    methods = list(dict.fromkeys(str(run.record.result["method"]) for run in runs))
    steps = sorted({run.record.result["steps"] for run in runs})
    people = sorted({len(run.facts["subjects"]) for run in runs})
    many = len(encoders) > 1
    return (
        f"Without any label, the 3D encoder{'s' if many else ''} {listed(encoders)} {'were' if many else 'was'} "
        f"pre-trained by {listed(methods)} ({count(len(runs), 'run')}) for {_from_to(steps)} steps on "
        f"{_from_to(people)} subject{'' if people == [1] else 's'}."
    )


def _from_to(numbers: list[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _control_in_words(inputs: Inputs, arm: str) -> str:
    return "shuffled captions without pictures" if control_lacks_pictures(inputs, arm) else "shuffled captions"


def _localization_figures(name: str, row: Mapping[str, Any], control: str) -> list[Figure]:
    volume, wrong, shuffled = row["volume"], row["wrong_volume"], row.get("shuffled_captions")
    blind = row.get("blind_guess")
    controls = f"asked of the wrong volume {number(wrong['mean_mm'], 0)} mm"
    if blind is not None:
        controls += f"; blind guess {number(blind['mean_mm'], 0)} mm"
    if shuffled is not None:
        controls += f"; after {control} {number(shuffled['mean_mm'], 0)} mm"
    others = [part["mean_mm"] for part in (wrong, blind) if part is not None]
    recalls = [chance(volume), wrong["crop_recall_at_1"]]
    return [
        Figure(
            f"{number(volume['mean_mm'], 0)} mm",
            f"mean error when {name} says where a slice of {listed(people_of(row['person']))} lies",
            controls,
            claimed=volume["mean_mm"] < min(others),
        ),
        Figure(
            percent(volume["crop_recall_at_1"]),
            f"of slices find their own crop first among {volume['gallery']:g}",
            f"chance {percent(chance(volume), 1)}; wrong volume {percent(wrong['crop_recall_at_1'], 1)}",
            claimed=volume["crop_recall_at_1"] > max(recalls),
        ),
    ]


def _difference_figure(row: Mapping[str, Any], name: str) -> Figure:
    verdict = judge(row)
    return Figure(
        signed(row["mean_difference"], 3),
        f"{name} of {row['arm']} against {row['against']} after fine-tuning",
        f"95 % interval {interval(row['ci95'], 3)}; " + ("it excludes 0" if verdict.gain else "no gain is claimed"),
        claimed=verdict.gain,
    )


def _localization_sentences(inputs: Inputs, arms: Mapping[str, Any]) -> list[str]:
    sentences = []
    for name, row in arms.items():
        error, wrong = row["volume"]["mean_mm"], row["wrong_volume"]["mean_mm"]
        text = (
            f"Localisation, {name}: the place of a slice is told with a mean error of {number(error, 1)} mm; asked of "
            f"the wrong volume the error is {number(wrong, 1)} mm"
        )
        if row.get("shuffled_captions") is not None:
            control, mean = _control_in_words(inputs, name), number(row["shuffled_captions"]["mean_mm"], 1)
            text += f", after pre-training on {control} {mean} mm"
        blind = row["blind_guess"]["mean_mm"] if row.get("blind_guess") else None
        if blind is not None:
            text += f", and who sees no volume errs by {number(blind, 1)} mm"
        if blind is not None and error >= blind:
            text += ". That is no better than a blind guess: nothing is shown to have been learned."
        elif error < wrong:
            text += f". The encoder knows this volume by {number(wrong - error, 1)} mm better than another one."
        else:
            text += ". That is no better than the wrong volume: nothing about this person's anatomy was used."
        sentences.append(text)
    return sentences or ["Slice localisation was not run."]


def _levels(inputs: Inputs, row: Mapping[str, Any]) -> str:
    """Says how well both arms segment: a difference between poor segmentations means little."""
    arms = (inputs.scores or {}).get("arms", {})
    ours, theirs = (mean_of_classes(arms[row[side]], "dice") for side in ("arm", "against"))
    if ours is None or theirs is None:
        return ""
    text = f", at {number(ours, 3)} and {number(theirs, 3)}"
    return text + ": both segment poorly, so it says little" if max(ours, theirs) < _POOR_DICE else text


def _finetuning_sentences(inputs: Inputs, dice: list[Mapping[str, Any]], auroc: list[Mapping[str, Any]]) -> list[str]:
    if not inputs.fine_tuned:
        return ["Nothing was fine-tuned."]
    if not dice and not auroc:
        return ["No fine-tuned arm was compared with its scratch twin."]
    sentences = []
    for row in (*dice, *auroc):
        verdict = judge(row)
        segments = row["metric"] == "dice"
        task, name = ("Fine-tuning", "mean Dice") if segments else ("Classification", "AUROC")
        sentences.append(
            f"{task}, {row['arm']} against {row['against']}: {name} differs by {difference_in_words(row)}"
            f"{_levels(inputs, row) if segments else _areas(inputs, row)}. {verdict.text} {verdict.scope}"
        )
    level = f"the p-value that counts all comparisons is below {LEVEL:g}"
    return [*sentences, f"A gain is claimed only where the interval excludes 0 and {level}."]


def _areas(inputs: Inputs, row: Mapping[str, Any]) -> str:
    arms = (inputs.classification or {})["arms"]
    ours, theirs = (arms[row[side]]["summary"]["auroc"] for side in ("arm", "against"))
    return f", at {number(ours, 3)} and {number(theirs, 3)} (guessing has 0.5)"
