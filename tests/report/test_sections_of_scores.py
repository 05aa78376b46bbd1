"""Sections on localisation, probe and segmentation, and the summary of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from med3dinsight.report.config import ReportConfig
from med3dinsight.report.inputs import Inputs, read_inputs
from med3dinsight.report.sections.localization import localization_section
from med3dinsight.report.sections.probe import judge_probe, probe_section
from med3dinsight.report.sections.segmentation import segmentation_section
from med3dinsight.report.sections.summary import summary

Make = Callable[..., dict[str, Any]]


def test_localisation_stands_beside_its_controls_and_chance(inputs: Inputs) -> None:
    section = localization_section(inputs, ReportConfig())
    assert section is not None
    (group,) = section.table.groups
    rows = {row[0]: [cell.replace("\u202f", " ") for cell in row[1:]] for row in group.rows}
    assert rows["the right volume"] == ["24.0", "12.0", "25.0 %", "2.5 %"]
    assert rows["wrong volume"] == ["50.0", "12.0", "2.0 %", "2.5 %"]
    assert rows["shuffled captions"][0] == "48.0"
    assert rows["text features only"] == ["–", "–", "–", "–"]
    assert "nothing is known of the spread" in section.seeds


@pytest.mark.parametrize(
    ("own", "control", "noted"), [("both", "text", True), ("text", "text", False), ("both", "both", False)]
)
def test_a_control_that_differs_in_more_than_its_texts_is_not_passed_off_as_one_of_texts(
    bench: Any, make_localization: Make, own: str, control: str, noted: bool
) -> None:
    bench.prepare("ann")
    for arm, match in (("insight", own), ("shuffled", control)):
        bench.pretrain(arm, ("ann",))
        path = bench.workspace.pretraining / f"{arm}-s0" / "encoder.json"
        path.write_text(path.read_text().replace('"both"', f'"{match}"'))
    bench.localize({"insight": make_localization()})
    config = {"arms": {"insight": ["insight-s0"]}, "controls": {"insight": ["shuffled-s0"]}}
    bench.record(bench.workspace.evaluation / "localization", "localize", config, {})
    inputs = read_inputs(bench.workspace)
    section = localization_section(inputs, ReportConfig())
    assert section is not None
    assert any("without pictures" in note for note in section.controls) == noted
    shown = summary(inputs, ReportConfig())
    assert ("shuffled captions without pictures 48 mm" in shown.figures[0].beside) == noted
    assert ("shuffled captions without pictures 48.0 mm" in shown.sentences[0]) == noted


def test_the_spread_of_pretraining_seeds_is_told_where_there_are_several(bench: Any, make_localization: Make) -> None:
    bench.prepare("ann")
    row = make_localization()
    row["by_seed"]["volume"] = [{**row["volume"], "mean_mm": value} for value in (22.0, 26.0)]
    bench.localize({"insight": row})
    section = localization_section(read_inputs(bench.workspace), ReportConfig())
    assert section is not None
    assert section.seeds == "insight: mean error by seed 22.0 to 26.0 mm"


@pytest.mark.parametrize(
    ("value", "words"), [(0.7, "inside the range"), (0.9, "inside the range"), (0.91, "above all"), (0.69, "below all")]
)
def test_the_probe_is_judged_by_the_range_of_random_encoders(value: float, words: str) -> None:
    assert words in judge_probe("run", value, {"lowest": 0.7, "highest": 0.9, "by_init": [{}, {}]})


def test_the_probe_shows_the_range_of_the_random_encoders_by_class(inputs: Inputs) -> None:
    section = probe_section(inputs)
    assert section is not None
    assert section.table.head == ("Frozen encoder", "Mean", "liver", "lung")
    random, run = section.table.groups[0].rows
    assert random == ("random conv_tiny, 2 draws", "0.750 to 0.850", "0.700 to 0.800", "0.900")
    assert run == ("insight-s0", "0.880", "0.800", "0.900")
    assert section.verdicts[0].startswith("insight-s0: 0.880 lies above all of 2 random encoders")


def test_scores_are_means_over_cases_and_seeds_and_undefined_ones_are_dashes(inputs: Inputs) -> None:
    section = segmentation_section(inputs)
    assert section is not None
    assert section.scores is not None
    groups = {group.title: {row[0]: row[1:] for row in group.rows} for group in section.scores.groups}
    assert groups["liver"]["insight"][0] == "0.600 (0.500–\u20600.700)"
    assert groups["liver"]["insight"][-1] == "1"
    assert groups["lung"]["scratch"] == ("–", "–", "–", "0")
    assert groups["mean of the classes"]["scratch"][0] == "0.550 (0.500–\u20600.600)"


def test_cases_are_averaged_where_they_are_defined(bench: Any, make_scores: Make) -> None:
    scores = make_scores()
    values = {"dice": 0.2, "hd95_mm": None, "nsd": 0.2, "by_seed": {"dice": [0.2, 0.2], "hd95_mm": [None, None]}}
    scores["arms"]["insight"]["cases"]["eve"] = {"liver": values}
    bench.prepare("ann", "bob")
    bench.finetune("insight", 0, ("ann",), ("bob",))
    bench.evaluate(scores)
    section = segmentation_section(read_inputs(bench.workspace))
    assert section is not None
    assert section.scores is not None
    row = section.scores.groups[0].rows[1]
    assert row[1] == "0.400 (0.350–\u20600.450)"
    assert row[2].startswith("0.6 ")
    assert row[-1] == "2"


def test_comparisons_that_allow_the_same_to_be_said_are_one_sentence(inputs: Inputs) -> None:
    section = segmentation_section(inputs)
    assert section is not None
    (verdict,) = section.verdicts
    assert (verdict.arm, verdict.metrics) == ("insight", "Dice and HD95 (mm)")
    assert verdict.verdict.text.startswith("No gain is claimed")
    assert section.comparisons is not None
    assert section.comparisons.groups[0].rows[0][-1] == "no"


def test_what_could_not_be_scored_or_compared_is_told(bench: Any, make_scores: Make) -> None:
    scores = make_scores()
    scores["left_out"] = {
        "cases": [{"case": "eve", "reason": "the case has no label map"}],
        "values": [{"run": f"insight-s{n}", "class": "lung", "count": n + 1, "reason": "both empty"} for n in (0, 1)],
    }
    scores["not_compared"] = [{"arm": "other", "against": None, "reason": "no scratch arm of this network"}]
    bench.prepare("ann", "bob")
    bench.finetune("insight", 0, ("ann",), ("bob",))
    bench.evaluate(scores)
    section = segmentation_section(read_inputs(bench.workspace))
    assert section is not None
    notes = " ".join(section.notes)
    assert "eve (the case has no label map)" in notes
    assert "lung in 2 cases (both empty)" in notes
    assert "other could not be compared: no scratch arm of this network." in notes


def test_the_summary_gives_the_key_figures_with_what_they_must_be_read_beside(inputs: Inputs) -> None:
    shown = summary(inputs, ReportConfig())
    error, recall, dice = shown.figures
    assert (error.value, error.beside) == ("24 mm", "asked of the wrong volume 50 mm; after shuffled captions 48 mm")
    assert recall.value.replace("\u202f", " ") == "25 %"
    assert "chance 2.5" in recall.beside
    assert (dice.value, dice.beside) == ("+0.010", "95 % interval −0.020 to +0.040; no gain is claimed")
    assert "Nothing of bob entered any training" in shown.lead
    assert shown.sentences[-1].startswith("A gain is claimed only where the interval excludes 0 and the p-value")
    assert (error.claimed, recall.claimed, dice.claimed) == (True, True, False)
    assert [target.met for _, target in shown.targets] == [True, True, True]


def test_a_difference_is_told_with_the_level_of_both_arms(inputs: Inputs, bench: Any, make_scores: Make) -> None:
    sentence = summary(inputs, ReportConfig()).sentences[1]
    assert "+0.010 (95 % interval −0.020 to +0.040), at 0.600 and 0.550. No gain is claimed" in sentence
    scores = make_scores()
    for arm in scores["arms"].values():
        arm["cases"]["bob"]["liver"]["dice"] = 0.08
    bench.prepare("ann", "bob")
    bench.finetune("insight", 0, ("ann",), ("bob",))
    bench.evaluate(scores)
    poor = summary(read_inputs(bench.workspace), ReportConfig()).sentences[1]
    assert "at 0.080 and 0.080: both segment poorly, so it says little." in poor


def test_a_figure_that_may_not_be_claimed_does_not_look_like_one_that_may(full_page: str, parsed: Any) -> None:
    assert len([tag for tag in parsed(full_page).all("li") if tag.get("class") == "unclaimed"]) == 1


@pytest.mark.parametrize(("blind", "claimed"), [(47.0, False), (60.0, True)])
def test_an_error_above_a_blind_guess_is_nothing_to_claim(
    bench: Any, make_localization: Make, blind: float, claimed: bool
) -> None:
    bench.prepare("ann")
    row = make_localization(error=48.0, wrong=50.0)
    row["blind_guess"] = {**row["volume"], "mean_mm": blind}
    bench.localize({"insight": row})
    shown = summary(read_inputs(bench.workspace), ReportConfig())
    assert shown.figures[0].claimed == claimed
    assert f"blind guess {blind:.0f} mm" in shown.figures[0].beside
    assert ("no better than a blind guess" in shown.sentences[0]) != claimed
    assert ("2.0 mm better than another one" in shown.sentences[0]) == claimed


def test_an_encoder_that_knows_the_right_volume_no_better_is_not_praised(bench: Any, make_localization: Make) -> None:
    bench.prepare("ann")
    bench.localize({"insight": make_localization(error=51.0, wrong=50.0)})
    sentence = summary(read_inputs(bench.workspace), ReportConfig()).sentences[0]
    assert "no better than the wrong volume" in sentence
    assert "mm better" not in sentence
