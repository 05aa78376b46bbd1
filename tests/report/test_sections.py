from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from med3dinsight.report.config import ReportConfig
from med3dinsight.report.inputs import Inputs, read_inputs
from med3dinsight.report.sections.captions import caption_section
from med3dinsight.report.sections.data import data_section, seen_test_subjects, uses_of_subjects
from med3dinsight.report.sections.features import feature_section
from med3dinsight.report.sections.limits import limits
from med3dinsight.report.sections.localization import localization_section
from med3dinsight.report.sections.pretraining import pretraining_section
from med3dinsight.report.sections.probe import judge_probe, probe_section
from med3dinsight.report.sections.reproduce import reproduce_section
from med3dinsight.report.sections.segmentation import segmentation_section
from med3dinsight.report.sections.study_run import study_section
from med3dinsight.report.sections.summary import summary

Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, workbench: type[Any]) -> Inputs:
    return read_inputs(workbench(tmp_path_factory.mktemp("sections")).everything().workspace)


def test_runs_come_in_the_order_of_the_arms_then_by_seed(inputs: Inputs) -> None:
    assert [run.name for run in inputs.finetuning] == ["scratch-s0", "scratch-s1", "insight-s0", "insight-s1"]
    assert [run.name for run in inputs.pretraining] == ["insight-s0", "shuffled-s0"]


def test_each_subject_is_shown_with_what_it_was_used_for(inputs: Inputs) -> None:
    rows = {row.case: row for row in data_section(inputs).rows}
    assert rows["ann"].uses == ("pre-training", "fine-tuning")
    assert rows["bob"].uses == ("test",)
    assert rows["bob"].prepared == "24 × 20 × 16 at 2 × 2 × 4 mm"
    assert rows["bob"].labels == "liver, lung_left, lung_right"


def test_a_guessed_modality_and_a_missing_label_are_said_to_be_so(bench: Any) -> None:
    bench.prepare("ann", modality_guessed=True, modality="mr", has_label=False, origin="", licence="")
    (row,) = data_section(read_inputs(bench.workspace)).rows
    assert row.modality == "MR, guessed from its intensities"
    assert (row.origin, row.licence, row.uses) == ("–", "–", ("not used",))


def test_files_that_were_left_out_are_named_without_their_folders(bench: Any) -> None:
    bench.prepare("ann", left_out=({"file": "/somewhere/private/bad.nii", "reason": "it is truncated", "hint": ""},))
    assert data_section(read_inputs(bench.workspace)).left_out == (("bad.nii", "it is truncated"),)


def test_a_test_subject_that_was_trained_on_is_not_passed_over(bench: Any) -> None:
    bench.prepare("ann", "bob")
    bench.pretrain("insight", ("ann", "bob"))
    bench.finetune("insight", 0, ("ann",), ("bob",))
    found = read_inputs(bench.workspace)
    assert seen_test_subjects(found) == ["bob"]
    assert "Careful: bob" in data_section(found).separation
    assert "Nothing of bob" not in summary(found, ReportConfig()).lead
    assert set(uses_of_subjects(found)["bob"]) == {"test", "pre-training"}


def test_a_test_subject_on_whom_projections_were_fitted_counts_as_seen(bench: Any) -> None:
    bench.prepare("ann", "bob")
    bench.embed("tissue", held_out=())
    bench.finetune("scratch", 0, ("ann",), ("bob",))
    assert seen_test_subjects(read_inputs(bench.workspace)) == ["bob"]


def test_captioners_are_called_what_they_are_and_controls_come_last(inputs: Inputs) -> None:
    section = caption_section(inputs, ReportConfig())
    assert section is not None
    assert [example.case for example in section.examples] == ["ann", "bob"]
    texts = section.examples[1].texts
    assert [text.captioner for text in texts] == ["tissue", "shuffled"]
    assert texts[0].words == "rule-based describer, not a language model"
    assert [text.text for text in texts] == ["A text of tissue.", "A text of shuffled."]
    assert section.examples[1].picture.alt.startswith("CT slice of bob: coronal")


def test_no_more_examples_are_shown_than_wanted(inputs: Inputs) -> None:
    section = caption_section(inputs, ReportConfig(example_slices=1))
    assert section is not None
    assert len(section.examples) == 1


def test_towers_are_called_a_stand_in_beside_their_figures(inputs: Inputs) -> None:
    section = feature_section(inputs)
    assert section is not None
    assert "stand-in for a medical CLIP" in section.towers[0]
    row = section.table.groups[0].rows[0]
    assert row[1] == "whitened, tested on held-out bob"
    # 12 slices of bob are the gallery
    assert [cell.replace("\u202f", " ") for cell in row[2:]] == ["0.4 %", "9.4 %", "31.0 %", "8.3 %"]


def test_features_are_shown_after_the_captions_were_cleaned_away(bench: Any) -> None:
    bench.prepare("ann")
    bench.embed("tissue", ())
    section = feature_section(read_inputs(bench.workspace))
    assert section is not None
    assert section.table.groups[0].rows[0][-1] == "–"


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


def test_runs_and_arms_tell_what_they_match(inputs: Inputs) -> None:
    section = pretraining_section(inputs)
    assert section is not None
    row = section.learned_from.groups[0].rows[0]
    assert row == ("insight-s0", "conv_tiny", "insight", "tissue", "images and texts", "–", "1")
    arms = study_section(inputs).arms
    assert arms is not None
    assert arms.groups[0].rows[2][-1] == "match = text"
    assert arms.groups[0].rows[1][2:4] == ("insight", "tissue (rule-based describer, not a language model)")


def test_curves_tell_their_ends_in_words(inputs: Inputs) -> None:
    section = pretraining_section(inputs)
    assert section is not None
    (loss,) = section.losses
    assert loss.alt == "Loss of insight by step: insight-s0 from 7.00 to 5.00; shuffled-s0 from 7.00 to 5.00"


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


def test_times_are_summed_by_stage_and_missing_stages_are_named(inputs: Inputs, bench: Any) -> None:
    rows = {row[0]: row[1:] for row in study_section(inputs).stages.groups[0].rows}
    assert rows["finetune"][1:] == ("4", "5 min 0 s", "1 min 15 s")
    bench.prepare("ann")
    alone = study_section(read_inputs(bench.workspace))
    assert alone.arms is None
    assert ("probe", "not run", "0", "–", "–") in alone.stages.groups[0].rows


def test_settings_that_differ_are_told_by_call_and_no_folder_of_the_machine_is_shown(inputs: Inputs) -> None:
    settings = {item.stage: item for item in study_section(inputs).settings}
    assert dict(settings["finetune"].shared) == {"steps": "20"}
    assert settings["finetune"].different is not None
    assert settings["finetune"].different.head == ("arm", "seed")
    assert dict(settings["prepare"].shared)["source"] == "sources"


def test_limits_name_the_few_people_the_model_that_drew_the_labels_and_the_stand_ins(inputs: Inputs) -> None:
    text = " ".join(limits(inputs))
    assert "one test subject, bob" in text
    assert "drawn by a segmentation model" in text
    assert "stand in for a CLIP" in text
    assert "not from a language model" in text
    assert "says nothing about how the next person" in text


def test_limits_do_not_say_what_the_data_do_not(bench: Any) -> None:
    bench.prepare("ann", "bob", origin="Labels drawn by hand. The scanner model is unknown.")
    bench.finetune("scratch", 0, ("ann",), ("bob",))
    text = " ".join(limits(read_inputs(bench.workspace)))
    assert "drawn by a segmentation model" not in text
    assert "who drew them" in text
    assert "CLIP" not in text
    assert "within subject" not in text


def test_the_study_can_be_saved_and_run_again(inputs: Inputs) -> None:
    section = reproduce_section(inputs)
    assert '[[arm]]\nname = "insight"' in section.study
    versions = dict(section.versions)
    assert versions["torch"][0].isdigit()
    assert versions["med3dinsight"] == "0.1.0"
