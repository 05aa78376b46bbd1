"""Pre-training: what each run learned from, how it went, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ...towers.registry import TOWERS
from ..charts import Chart, Curve, LegendEntry, legend, line_chart
from ..inputs import Inputs, Run
from ..measures import Row, guess_among_pairs, measured, told, watched
from ..tables import Group, Table, plain_table
from ..wording import UNDEFINED, duration, number, percent
from .captions import CAPTIONER_WORDS

#: What the setting ``match`` means.
MATCHES = {"both": "images and texts", "image": "images", "text": "texts"}
#: Runs up to which all that they tell stands open.
_OPEN = 4
_BYTES_PER_GB = 1e9


@dataclass(frozen=True)
class PretrainingSection:
    """The runs, their curves, and what stands beside them.

    Attributes:
        learned_from: Table of what each run learned from.
        course: Table of how long it took, and how it ended.
        methods: ``(name, what it is and whence)`` of each method.
        stand_ins: Sentences on what stands in for something else.
        losses: Curve of the loss, one chart a method.
        charts: Further curves, each with a note.
        legend: Legend of all curves.
        measures: Table of what each run tells of itself, or None.
        open: Whether that table and the losses are shown at once.
    """

    learned_from: Table
    course: Table
    methods: tuple[tuple[str, str], ...]
    stand_ins: tuple[str, ...]
    losses: tuple[Chart, ...]
    charts: tuple[tuple[Chart, str], ...]
    legend: tuple[LegendEntry, ...]
    measures: Table | None
    open: bool


def pretraining_section(inputs: Inputs) -> PretrainingSection | None:
    """Describes the finished pre-training runs; None where there is none."""
    runs = inputs.pretraining
    if not runs:
        return None
    groups = tuple(Group(f"{run.name} ({_method(run)})", rows) for run in runs if (rows := measured(run)))
    trained = [run for run in runs if run.log]
    return PretrainingSection(
        learned_from=_learned_from(runs),
        course=_course(runs),
        methods=_methods(runs),
        stand_ins=_stand_ins(runs),
        losses=_losses(trained),
        charts=_charts(trained),
        legend=legend([run.name for run in trained]),
        measures=_measures(groups) if groups else None,
        open=len(groups) <= _OPEN,
    )


def _method(run: Run) -> str:
    return str(run.record.result["method"])


def _learned_from(runs: Sequence[Run]) -> Table:
    head = ("Run", "Encoder", "Method", "Texts by", "Matches", "Remarks", "Subjects")
    rows = [
        (
            run.name,
            str(run.facts["encoder"]),
            _method(run),
            str(run.facts.get("captioner") or UNDEFINED),
            MATCHES.get(str(run.facts.get("match")), UNDEFINED),
            "; ".join(_remarks(run)) or UNDEFINED,
            str(len(run.facts["subjects"])) if run.record.result["steps"] else "0",
        )
        for run in runs
    ]
    return plain_table("Pre-training runs: what they learned from", head, rows, texts=6)


def _remarks(run: Run) -> list[str]:
    """Says in what a run is not the plain method."""
    config, remarks = run.record.config, []
    if run.record.result.get("collapsed"):
        remarks.append("the embedding has COLLAPSED")
    if not run.record.result["steps"]:
        remarks.append("control: random weights, nothing was trained")
    if config.get("no_text"):
        remarks.append("control: without texts")
    if config.get("shuffled_pairs"):
        remarks.append("control: pictures and texts of other slices")
    if config.get("wrong_texts"):
        remarks.append(f"{percent(config['wrong_texts'])} of the texts wrong on purpose")
    if config.get("psat_module"):
        remarks.append(f"PSAT replaced by: {config['psat_module']}" if config["psat_module"] != "plane_slice" else "")
    if config.get("init"):
        remarks.append(f"starts from {PurePath(config['init']).name}")
    if run.facts.get("own_module"):
        remarks.append("a module of the caller's own")
    if config.get("ema_decay"):
        remarks.append(f"averaged weights, EMA {config['ema_decay']:g}")
    if config.get("micro_batch"):
        remarks.append(f"{config['micro_batch']} crops encoded at a time")
    return [remark for remark in remarks if remark]


def _course(runs: Sequence[Run]) -> Table:
    head = ("Run", "Steps", "Volumes × slices a step", "Final loss", "Pairs / s", "Time", "Peak memory")
    caption = (
        "How they went; a pair is a volume with one of its slices, or the volume alone; the memory is the process's"
    )
    return plain_table(caption, head, [_row(run) for run in runs])


def _row(run: Run) -> tuple[str, ...]:
    config, result = run.record.config, run.record.result
    trained, memory = bool(result["steps"]), result.get("peak_memory_bytes")
    slices = config.get("slices_per_volume") if run.facts.get("captioner") else None
    return (
        run.name,
        str(result["steps"]),
        _batch(config.get("batch_volumes"), slices) if trained else UNDEFINED,
        number(result["final_loss"], 2),
        number(result["pairs_per_second"], 0) if trained else UNDEFINED,
        duration(run.record.seconds),
        f"{number(memory / _BYTES_PER_GB, 1)}\u202fGB" if memory else UNDEFINED,
    )


def _batch(volumes: int | None, slices: int | None) -> str:
    return UNDEFINED if volumes is None else f"{volumes} × {slices}" if slices else str(volumes)


def _methods(runs: Sequence[Run]) -> tuple[tuple[str, str], ...]:
    found = {}
    for run in runs:
        if run.facts.get("method_kind"):
            found[_method(run)] = f"{run.facts['method_kind']} ({run.facts['method_source']})"
    return tuple(found.items())


def _stand_ins(runs: Sequence[Run]) -> tuple[str, ...]:
    towers = dict.fromkeys(str(run.facts["towers"]) for run in runs if run.facts.get("towers"))
    captioners = dict.fromkeys(str(run.facts["captioner"]) for run in runs if run.facts.get("captioner"))
    words = {name: TOWERS[name].kind for name in towers if name in TOWERS and "stand-in" in TOWERS[name].kind}
    words |= {name: CAPTIONER_WORDS[name] for name in captioners if name in CAPTIONER_WORDS}
    return tuple(f"{name}: {text}" for name, text in words.items())


def _measures(groups: tuple[Group, ...]) -> Table:
    caption = "What the runs tell of themselves: of their last batch, and of people who are watched while they train"
    return Table(caption, ("Measure", "First", "Last", "Read beside"), groups, stacks=True)


def _losses(runs: Sequence[Run]) -> tuple[Chart, ...]:
    charts = []
    for method in dict.fromkeys(_method(run) for run in runs):
        of_method = [(style, run) for style, run in enumerate(runs) if _method(run) == method]
        charts.append(_chart(f"Loss of {method}", "loss", of_method, told))
    return tuple(charts)


def _charts(runs: Sequence[Run]) -> tuple[tuple[Chart, str], ...]:
    charts = []
    everything = list(enumerate(runs))
    for title, key, note in _SHARES:
        of_key = [(style, run) for style, run in everything if any(key in row for row in told(run))]
        if of_key:
            guesses = {guess_among_pairs(run, key) for _, run in of_key}
            reached = "0 %" if key in ("explained", "restored") else _range(guesses)
            charts.append((_chart(title, key, of_key, told, percentage=True), f"{note}; by guessing {reached}"))
    for title, key, note, rows, unit in _OTHERS:
        of_key = [(style, run) for style, run in everything if any(row.get(key) is not None for row in rows(run))]
        if of_key:
            charts.append((_chart(title, key, of_key, rows, unit=unit), note))
    return tuple(charts)


#: Title, column of the log, and what a reader should know: shares of a batch, drawn in per cent.
_SHARES = (
    ("Image matching accuracy", "image_accuracy", "answers that find their own picture in the batch"),
    ("Text matching accuracy", "text_accuracy", "answers that find their own text in the batch"),
    ("Partners found", "accuracy", "other view, text, or octant, as the method asks"),
    ("Hidden voxels explained", "explained", "share of the error that is gone, below 0 is worse"),
    ("Damage made good", "restored", "share of the error that is gone, below 0 is worse"),
)
#: The same with whose rows are drawn, and the unit.
_OTHERS: tuple[tuple[str, str, str, Callable[[Run], tuple[Row, ...]], str], ...] = (
    ("Embedding spread", "spread", "effective number of directions in use; 1 would be a collapse", told, ""),
    (
        "Slice localisation, held out",
        "localization_mm",
        "mean error on watched people, less is better; controls in the table",
        watched,
        "mm",
    ),
    ("Probe of frozen voxels, held out", "probe_auc", "AUC on watched people; guessing has 0.5", watched, ""),
)


def _range(shares: set[float]) -> str:
    ends = [percent(share, 1) for share in sorted(shares)]
    return ends[0] if len(ends) == 1 else f"{ends[0]} to {ends[-1]}, by run"


def _chart(
    title: str,
    key: str,
    runs: Sequence[tuple[int, Run]],
    rows: Callable[[Run], tuple[Row, ...]],
    *,
    percentage: bool = False,
    unit: str = "",
) -> Chart:
    curves, words, factor = [], [], 100 if percentage else 1
    shown = percent if percentage else number
    for style, run in runs:
        points = [row for row in rows(run) if row.get(key) is not None]
        if points:
            steps, values = (tuple(row[name] for row in points) for name in ("step", key))
            curves.append(Curve(steps, tuple(factor * value for value in values), style))
            words.append(f"{run.name} from {shown(values[0])} to {shown(values[-1])}")
    alt = f"{title} by step: " + "; ".join(words)
    # Untrained restoration can be worse than its reference by any factor, which would flatten all that follows.
    lowest = -100 if percentage else None
    if all(value >= 0 for curve in curves for value in curve.y):
        lowest = 0
    return line_chart(title, alt, curves, unit="%" if percentage else unit, lowest=lowest)
