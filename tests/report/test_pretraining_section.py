"""What the page says of pre-training: methods, their remarks, what they tell of themselves, and what guessing does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from med3dinsight.report.inputs import read_inputs
from med3dinsight.report.sections.pretraining import PretrainingSection, pretraining_section
from med3dinsight.report.sections.study_run import study_section
from med3dinsight.workspace.files import write_json


def pretrain(
    bench: Any,
    name: str,
    rows: list[dict[str, Any]],
    *,
    facts: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
    **config: Any,
) -> None:
    """Leaves a run of pre-training: its log, ``encoder.json`` and stage record."""
    folder = bench.workspace.pretraining / name
    known = {"encoder": "conv_tiny", "captioner": None, "match": None, "psat": None, "seed": 0, "subjects": ["ann"]}
    write_json(folder / "encoder.json", {**known, **(facts or {})})
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {"encoder": "conv_tiny", "method": name, "steps": 20, "final_loss": 5.0, "pairs_per_second": 9.0}
    settings = {"run": name, "batch_volumes": 4, "slices_per_volume": 8, **config}
    bench.record(folder, "pretrain", settings, {**told, **(result or {})})


def section_of(bench: Any) -> PretrainingSection:
    section = pretraining_section(read_inputs(bench.workspace))
    assert section is not None
    return section


def measures_of(section: PretrainingSection) -> dict[str, dict[str, tuple[str, ...]]]:
    assert section.measures is not None
    return {
        group.title: {row[0]: tuple(cell.replace("\u202f", " ") for cell in row[1:]) for row in group.rows}
        for group in section.measures.groups
    }


def both(**last: float) -> list[dict[str, Any]]:
    """A log of two rows whose first values are 0.1."""
    return [
        {"step": 10, "loss": 2.0, **dict.fromkeys(last, 0.1)},
        {"step": 20, "loss": 1.0, **last},
    ]


@pytest.fixture
def prepared(bench: Any) -> Any:
    bench.prepare("ann", "bob")
    return bench


@pytest.mark.parametrize(
    ("method", "facts", "key", "guess"),
    [
        ("insight", {"psat": {}, "captioner": "tissue", "match": "both"}, "image_accuracy", "3.1 %"),
        ("gtgm", {"captioner": "tissue", "match": "text"}, "text_accuracy", "25.0 %"),
        ("simclr", {}, "accuracy", "25.0 %"),
        ("voco", {}, "accuracy", "12.5 %"),
        ("t3d", {"captioner": "tissue", "match": "text"}, "accuracy", "at least 25.0 %"),
    ],
)
def test_what_is_found_in_the_batch_stands_beside_what_guessing_finds(
    prepared: Any, method: str, facts: dict[str, Any], key: str, guess: str
) -> None:
    pretrain(prepared, method, both(**{key: 0.5}), facts=facts)
    section = section_of(prepared)
    (rows,) = measures_of(section).values()
    assert list(rows.values()) == [("10.0 %", "50.0 %", f"guessing {guess}")]
    assert f"by guessing {guess.removeprefix('at least ')}" in section.charts[0][1].replace("\u202f", " ")


def test_the_methods_that_restore_are_measured_against_doing_nothing(prepared: Any) -> None:
    pretrain(prepared, "mae", both(explained=-3.5))
    pretrain(prepared, "genesis", both(restored=0.25))
    section = section_of(prepared)
    measures = measures_of(section)
    (mae,), (genesis,) = measures["mae (mae)"].values(), measures["genesis (genesis)"].values()
    assert (mae, genesis) == (("10.0 %", "−350.0 %", "their mean 0 %"), ("10.0 %", "25.0 %", "left as it is 0 %"))
    assert [chart.title for chart in section.losses] == ["Loss of genesis", "Loss of mae"]


def test_a_text_of_use_stands_beside_somebody_else_s(prepared: Any) -> None:
    pretrain(prepared, "t3d", both(restoration_true_text=0.2, restoration_shuffled_text=0.3))
    assert measures_of(section_of(prepared))["t3d (t3d)"] == {
        "error of restoring with the true text": ("0.1000", "0.2000", "with somebody else's text 0.3000")
    }


def test_read_outs_on_watched_people_stand_beside_their_controls(prepared: Any) -> None:
    row = {"localization_mm": 30.0, "wrong_volume_mm": 50.0, "blind_guess_mm": 47.0, "crop_recall_at_1": 0.2}
    row |= {"crops": 20, "slices": 400, "image_recall": {"at_1": 0.01}, "probe_auc": 0.7, "knn_accuracy": None}
    logged = [*both(spread=9.0), {"step": 20, "watched": row}]
    pretrain(prepared, "insight", logged, facts={"psat": {}, "captioner": "tissue", "match": "both"})
    section = section_of(prepared)
    (rows,) = measures_of(section).values()
    assert rows["held out: error of slice localisation"][1:] == ("30.0 mm", "wrong volume 50.0 mm; blind guess 47.0 mm")
    assert rows["held out: slices that find their own crop"][2] == "guessing 5.0 %"
    assert rows["held out: answers that find their own picture"][1:] == ("1.0 %", "guessing 0.2 %")
    assert rows["held out: linear probe of frozen voxels, AUC"][1:] == ("0.70", "guessing 0.50")
    assert "held out: nearest neighbours of frozen voxels" not in rows
    assert "Slice localisation, held out" in [chart.title for chart, _ in section.charts]


def test_in_what_a_run_is_not_the_plain_method_is_remarked(prepared: Any) -> None:
    changes = {"ema_decay": 0.99, "micro_batch": 2, "wrong_texts": 0.3, "init": "/somewhere/private/theirs.pth"}
    pretrain(prepared, "paper", both(spread=1.0), result={"collapsed": True, "peak_memory_bytes": 2.5e9}, **changes)
    pretrain(prepared, "none", [], result={"steps": 0, "final_loss": None})
    section = section_of(prepared)
    none, paper = section.learned_from.groups[0].rows
    assert paper[5].replace("\u202f", " ") == (
        "the embedding has COLLAPSED; 30 % of the texts wrong on purpose; starts from theirs.pth; "
        "averaged weights, EMA 0.99; 2 crops encoded at a time"
    )
    assert none[5:] == ("control: random weights, nothing was trained", "0")
    assert section.course.groups[0].rows[1][-1].replace("\u202f", " ") == "2.5 GB"
    assert [entry.name for entry in section.legend] == ["paper"]


def test_methods_and_stand_ins_are_called_what_they_are(prepared: Any) -> None:
    facts = {"method_kind": "contrast; our reading", "method_source": "after a paper", "towers": "minilm-lite"}
    pretrain(prepared, "t3d", both(spread=3.0), facts={**facts, "captioner": "tissue", "match": "text"})
    section = section_of(prepared)
    assert section.methods == (("t3d", "contrast; our reading (after a paper)"),)
    assert "stand-in for a medical CLIP" in section.stand_ins[0]
    assert section.stand_ins[1] == "tissue: rule-based describer, not a language model"


def test_an_arm_whose_method_reads_no_text_is_not_said_to_match_any(prepared: Any) -> None:
    document = {"study": {"name": "tiny"}, "arm": [{"name": "mae", "pretrain": {"method": "mae"}}]}
    write_json(prepared.workspace.root / "study.json", {"folder": "", "document": document})
    pretrain(prepared, "mae-s0", both(explained=0.1), result={"method": "mae"})
    arms = study_section(read_inputs(prepared.workspace)).arms
    assert arms is not None
    assert arms.groups[0].rows[0][2:4] == ("mae", "none")
