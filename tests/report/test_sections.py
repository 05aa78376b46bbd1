"""Sections on the data, on what was learned from, and on the study itself."""

from __future__ import annotations

import json
from typing import Any

from med3dinsight.report.config import ReportConfig
from med3dinsight.report.inputs import Inputs, read_inputs
from med3dinsight.report.sections.captions import caption_section
from med3dinsight.report.sections.data import data_section, seen_test_subjects, uses_of_subjects
from med3dinsight.report.sections.features import feature_section
from med3dinsight.report.sections.limits import limits
from med3dinsight.report.sections.pretraining import pretraining_section
from med3dinsight.report.sections.reproduce import reproduce_section
from med3dinsight.report.sections.study_run import study_section
from med3dinsight.report.sections.summary import summary


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


def test_weights_that_do_not_tell_whom_they_have_seen_are_not_passed_over(bench: Any) -> None:
    bench.prepare("ann", "bob")
    bench.pretrain("insight", ("ann",))
    bench.finetune("theirs", 0, ("ann",), ("bob",))
    path = bench.workspace.finetuning / "theirs-s0" / "model.json"
    facts = json.loads(path.read_text())
    assert "Nothing of bob" in summary(read_inputs(bench.workspace), ReportConfig()).lead
    for word, subjects in (("unknown", []), ("known", ["bob"])):
        weights = {"seen": word, "subjects": subjects, "voxel_sha256": []}
        path.write_text(json.dumps({**facts, "initial_weights": weights}))
        found = read_inputs(bench.workspace)
        assert "Nothing of bob" not in summary(found, ReportConfig()).lead
        assert seen_test_subjects(found) == subjects
        told = data_section(found).separation
        assert ("Careful: bob" in told) == bool(subjects)
        assert ("theirs-s0 started from weights of which nothing tells" in told) != bool(subjects)


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


def test_a_sample_and_slices_without_a_text_are_told(bench: Any) -> None:
    bench.prepare("ann")
    bench.embed("tissue", (), without_text=1, when="drawn")
    bench.embed("template", ())
    section = feature_section(read_inputs(bench.workspace))
    assert section is not None
    told = {words.partition("; ")[2].replace("\u202f", " ") for words in section.towers}
    assert told == {
        "projections fitted and tested on 24 slices, others embedded once when a run draws them; "
        "1 slice without a text of tissue left out",
        "24 slices embedded once and then kept fixed",
    }


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
