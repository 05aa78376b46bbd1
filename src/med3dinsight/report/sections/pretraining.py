"""Pre-training: one row and one curve a run."""

from __future__ import annotations

from dataclasses import dataclass

from ..charts import Chart, Curve, LegendEntry, legend, line_chart
from ..inputs import Inputs, Run
from ..tables import Table, plain_table
from ..wording import UNDEFINED, duration, number, percent

#: Column of the log, title of its chart, and what a reader should know to read it.
_CHARTS = (
    ("loss", "Loss", "the method's own: comparable between runs of one method that match the same"),
    ("image_accuracy", "Image matching accuracy", "share of answers that find their own picture in the batch"),
    ("text_accuracy", "Text matching accuracy", "share of answers that find their own text in the batch"),
    ("spread", "Embedding spread", "effective number of directions in use; 1 would be a collapse"),
)


#: What the setting ``match`` means.
MATCHES = {"both": "images and texts", "image": "images", "text": "texts"}


@dataclass(frozen=True)
class PretrainingSection:
    """The table of runs, the curves, and their legend."""

    table: Table
    charts: tuple[tuple[Chart, str], ...]
    legend: tuple[LegendEntry, ...]


def pretraining_section(inputs: Inputs) -> PretrainingSection | None:
    """Describes the finished pre-training runs; None where there is none."""
    runs = inputs.pretraining
    if not runs:
        return None
    head = (
        "Run",
        "Encoder",
        "Method",
        "Texts by",
        "Matches",
        "Subjects seen",
        "Steps",
        "Final loss",
        "Pairs / s",
        "Time",
    )
    table = plain_table("Pre-training runs", head, [_row(run) for run in runs], texts=5)
    charts = tuple((_chart(runs, key, title), note) for key, title, note in _CHARTS)
    return PretrainingSection(table, charts, legend([run.name for run in runs]))


def _row(run: Run) -> tuple[str, ...]:
    result = run.record.result
    return (
        run.name,
        str(run.facts["encoder"]),
        str(result["method"]),
        str(run.facts.get("captioner") or UNDEFINED),
        MATCHES.get(str(run.facts.get("match")), UNDEFINED),
        str(len(run.facts["subjects"])),
        str(result["steps"]),
        number(result["final_loss"], 2),
        number(result["pairs_per_second"], 0),
        duration(run.record.seconds),
    )


def _chart(runs: tuple[Run, ...], key: str, title: str) -> Chart:
    curves, words = [], []
    for style, run in enumerate(runs):
        rows = [row for row in run.log if key in row]
        curves.append(Curve(tuple(row["step"] for row in rows), tuple(row[key] for row in rows), style))
        if rows:
            shown = percent if key.endswith("accuracy") else number
            words.append(f"{run.name} from {shown(rows[0][key])} to {shown(rows[-1][key])}")
    return line_chart(title, f"{title} by step: " + "; ".join(words), curves)
