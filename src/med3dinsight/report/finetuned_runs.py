"""Fine-tuned runs, of whichever task: what they are, and how their loss fell."""

from __future__ import annotations

from collections.abc import Sequence

from .charts import Chart, Curve, LegendEntry, legend, line_chart
from .inputs import Run
from .tables import Table, plain_table
from .wording import listed, number


def runs_table(runs: Sequence[Run]) -> Table:
    """Returns a row a run: its arm, weights, network, people, seed, steps and last loss."""
    rows = [
        (
            run.name,
            str(run.facts["arm"]),
            str(run.facts["init"]),
            str(run.facts["network"]),
            listed(run.facts["train"]),
            listed(run.facts["test"]),
            str(run.facts["seed"]),
            str(run.record.config.get("steps", number(None))),
            number(run.log[-1]["loss"], 3) if run.log else number(None),
        )
        for run in runs
    ]
    head = ("Run", "Arm", "Weights from", "Network", "Trained on", "Tested on", "Seed", "Steps", "Last loss")
    return plain_table("Fine-tuned runs", head, rows, texts=6)


def loss_chart(runs: Sequence[Run]) -> tuple[Chart, tuple[LegendEntry, ...]]:
    """Returns the chart of the training loss, one line a run, and its legend by arm."""
    arms = list(dict.fromkeys(str(run.facts["arm"]) for run in runs))
    curves = [
        Curve(
            tuple(row["step"] for row in run.log), tuple(row["loss"] for row in run.log), arms.index(run.facts["arm"])
        )
        for run in runs
    ]
    ends = [f"{run.name} ends at {number(run.log[-1]['loss'])}" for run in runs if run.log]
    chart = line_chart("Training loss, one line a seed", "Training loss of fine-tuning: " + "; ".join(ends), curves)
    return chart, legend(arms)
