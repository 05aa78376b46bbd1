"""What a pre-training run tells of itself while it trains: each measure in words, beside what guessing reaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .inputs import Run
from .wording import UNDEFINED, number, percent

#: Octants among which ``voco`` places a cube.
_OCTANTS = 8
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """A column of the log.

    Attributes:
        name: What it is, in words.
        shown: Writes a value with its unit.
        guess: What is reached by guessing, or by learning nothing: from the run and the row.
    """

    name: str
    shown: Callable[[float | None], str]
    guess: Callable[[Run, Row], str]


def pairs_a_step(run: Run) -> int:
    """Returns the (volume, slice) pairs that a run's answers are matched among."""
    config = run.record.config
    asked = config.get("slices_per_volume") if run.facts.get("psat") is not None else 1
    return int(config.get("batch_volumes", 1)) * int(asked or 1)


def guess_among_pairs(run: Run, key: str) -> float:
    """Returns the share that guessing hits, 0 to 1: one over what there is to choose from."""
    if key == "accuracy" and run.record.result["method"] == "voco":
        return 1 / _OCTANTS
    return 1 / pairs_a_step(run)


def _chance(key: str) -> Callable[[Run, Row], str]:
    def guess(run: Run, row: Row) -> str:
        # Crops of the same person are not counted against each other there, so that guessing hits more often.
        least = "at least " if run.record.result["method"] in ("t3d", "multiview") else ""
        return f"guessing {least}{percent(guess_among_pairs(run, key), 1)}"

    return guess


def _always(words: str) -> Callable[[Run, Row], str]:
    return lambda run, row: words


def _one_over(key: str) -> Callable[[Run, Row], str]:
    return lambda run, row: f"guessing {percent(1 / row[key], 1)}" if row.get(key) else UNDEFINED


def _share(value: float | None) -> str:
    return percent(value, 1)


def _length(value: float | None) -> str:
    return UNDEFINED if value is None else f"{number(value, 1)} mm"


def _plain(value: float | None) -> str:
    return number(value, 2)


def _fine(value: float | None) -> str:
    return number(value, 4)


def _localization_controls(run: Run, row: Row) -> str:
    controls = [f"wrong volume {_length(row['wrong_volume_mm'])}"]
    if "blind_guess_mm" in row:
        controls.append(f"blind guess {_length(row['blind_guess_mm'])}")
    return "; ".join(controls)


def _with_wrong_texts(run: Run, row: Row) -> str:
    return f"with somebody else's text {_fine(row.get('restoration_shuffled_text'))}"


def _classes(run: Run, row: Row) -> str:
    classes = len(run.record.config.get("watch_classes") or ())
    return f"guessing {percent(1 / classes, 1)}" if classes else UNDEFINED


#: Columns of the log while training, in the order of the page.
TRAINING: dict[str, Measure] = {
    "image_accuracy": Measure("answers that find their own picture in the batch", _share, _chance("image_accuracy")),
    "text_accuracy": Measure("answers that find their own text in the batch", _share, _chance("text_accuracy")),
    "view_accuracy": Measure("views that find their other view in the batch", _share, _chance("view_accuracy")),
    "accuracy": Measure("partners that are found", _share, _chance("accuracy")),
    "text_only_accuracy": Measure("partners that the texts alone would find", _share, _chance("text_only_accuracy")),
    "explained": Measure("share of the hidden voxels' error that is gone", _share, _always("their mean 0 %")),
    "restored": Measure("share of the damage that is made good", _share, _always("left as it is 0 %")),
    "restoration_true_text": Measure("error of restoring with the true text", _fine, _with_wrong_texts),
    "loss_above_floor": Measure("loss above the least that transport can reach", _plain, _always(UNDEFINED)),
    "teacher_entropy": Measure(
        "entropy of the teacher's assignments, in nats", _plain, _always("collapse log 1024, 6.93")
    ),
    "teacher_entropy_of_mean": Measure("entropy of their mean, in nats", _plain, _always("collapse 0")),
    "spread": Measure("effective number of directions of the embedding", _plain, _always("collapse 1")),
    "encoder_spread": Measure("the same of the encoder's mean tokens", _plain, _always("collapse 1")),
}

#: What is read out on people who are held out.
WATCHED: dict[str, Measure] = {
    "localization_mm": Measure("held out: error of slice localisation", _length, _localization_controls),
    "crop_recall_at_1": Measure("held out: slices that find their own crop", _share, _one_over("crops")),
    "image_recall_at_1": Measure("held out: answers that find their own picture", _share, _one_over("slices")),
    "text_recall_at_1": Measure("held out: answers that find their own text", _share, _one_over("slices")),
    "probe_auc": Measure("held out: linear probe of frozen voxels, AUC", _plain, _always("guessing 0.50")),
    "knn_accuracy": Measure("held out: nearest neighbours of frozen voxels", _share, _classes),
}


def told(run: Run) -> tuple[Row, ...]:
    """Returns the rows that were logged while training."""
    return tuple(row for row in run.log if "loss" in row)


def watched(run: Run) -> tuple[Row, ...]:
    """Returns what was read out on held-out people, with its step; nested values get names of their own."""
    rows = []
    for row in run.log:
        if "watched" in row:
            found = dict(row["watched"])
            for side in ("image", "text"):
                found[f"{side}_recall_at_1"] = found.pop(f"{side}_recall", {}).get("at_1")
            rows.append({"step": row["step"], **found})
    return tuple(rows)


def measured(run: Run) -> tuple[tuple[str, ...], ...]:
    """Returns a row a measure of a run: its name, the first and the last value, and what guessing reaches."""
    rows = []
    for measures, logged in ((TRAINING, told(run)), (WATCHED, watched(run))):
        for key, measure in measures.items():
            values = [row for row in logged if row.get(key) is not None]
            if values:
                first, last = values[0], values[-1]
                shown = (measure.shown(first[key]), measure.shown(last[key]))
                rows.append((measure.name, *shown, measure.guess(run, last)))
    return tuple(rows)
