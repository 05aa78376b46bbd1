from __future__ import annotations

from typing import Any

from med3dinsight.report.config import ReportConfig
from med3dinsight.report.inputs import read_inputs
from med3dinsight.report.page import render_page
from med3dinsight.report.sections.classification import classification_section
from med3dinsight.report.sections.data import seen_test_subjects, uses_of_subjects
from med3dinsight.report.sections.limits import limits
from med3dinsight.report.sections.segmentation import segmentation_section
from med3dinsight.report.sections.summary import summary
from med3dinsight.types import silent
from med3dinsight.workspace.files import write_json


def test_scores_and_differences_stand_in_tables_with_what_they_allow_to_say(bench: Any) -> None:
    bench.prepare("ann", "bob")
    bench.classify()
    section = classification_section(read_inputs(bench.workspace))
    assert section is not None
    assert "Test cases: AD (1) and NC (0)." in section.lead
    assert section.scores is not None
    assert section.scores.head == ("Arm", "AUROC", "Accuracy", "Balanced accuracy", "Cases", "People")
    rows = [[cell.replace("\u2060", "") for cell in row] for row in section.scores.groups[0].rows]
    assert rows[-1] == ["no scan seen, the most frequent class", "–", "1.000", "1.000", "–", "–"]  # one test case
    assert rows[1] == ["insight", "0.750", "0.800 (0.750–0.850)", "0.800 (0.750–0.850)", "12", "9"]
    assert section.comparisons is not None
    assert section.comparisons.groups[0].rows[0][:3] == ("AUROC", "+0.250", "+0.050 to +0.450")
    (verdict,) = section.verdicts
    assert (verdict.arm, verdict.metrics, verdict.verdict.gain) == ("insight", "AUROC", True)
    assert "9 test subjects" in verdict.verdict.scope
    assert [chart.title for chart in section.charts] == ["AUROC against scratch"]
    assert section.notes[0].startswith("late could not be compared: no scratch arm")


def test_what_was_not_scored_is_said_and_what_was_not_trained_is_not_there(bench: Any) -> None:
    bench.prepare("ann", "bob")
    assert classification_section(read_inputs(bench.workspace)) is None
    bench.classify(scored=False)
    section = classification_section(read_inputs(bench.workspace))
    assert section is not None
    assert (section.scores, section.comparisons, section.charts) == (None, None, ())
    assert len(section.runs.groups[0].rows) == 2


def test_each_task_is_shown_in_its_own_section(bench: Any, parsed: Any) -> None:
    bench.everything()
    bench.classify()
    inputs = read_inputs(bench.workspace)
    assert [run.name for run in inputs.classifying] == ["scratch-classes-s0", "insight-classes-s0"]
    assert len(inputs.finetuning) == 4
    segmentation = segmentation_section(inputs)
    assert segmentation is not None
    assert len(segmentation.runs.groups[0].rows) == 4
    page = parsed(render_page(inputs, ReportConfig(), silent))
    assert "classification" in [tag["id"] for tag in page.all("section")]
    assert "#classification" in [tag["href"] for tag in page.all("a")]
    for words in (
        "Test cases: AD (1) and NC (0)",
        "Better than scratch: the interval excludes 0",
        "swaps the two arms",
    ):
        assert words in page.text


def test_the_summary_names_the_difference_and_both_levels(bench: Any) -> None:
    bench.prepare("ann", "bob")
    bench.classify()
    found = summary(read_inputs(bench.workspace), ReportConfig())
    assert [figure.value for figure in found.figures] == ["+0.250"]
    assert found.figures[0].label == "AUROC of insight against scratch after fine-tuning"
    (sentence,) = [text for text in found.sentences if text.startswith("Classification")]
    assert "AUROC differs by +0.250 (95 % interval +0.050 to +0.450), at 0.750 and 0.500" in sentence
    assert "Nothing was fine-tuned." not in found.sentences


def test_people_of_a_classification_count_as_trained_and_tested(bench: Any) -> None:
    bench.prepare("ann", "bob")
    bench.pretrain("insight", ("ann", "bob"))
    bench.classify()
    inputs = read_inputs(bench.workspace)
    assert uses_of_subjects(inputs)["ann"] == ("pre-training", "fine-tuning")
    assert seen_test_subjects(inputs) == ["bob"]
    assert any("its seeds scatter" in text for text in limits(inputs))


def test_scores_of_classifications_alone_are_not_shown_as_segmentations(bench: Any) -> None:
    """Segmentations were scored once, and scores.json has been written anew for the other task."""
    bench.everything()
    write_json(bench.workspace.evaluation / "scores.json", {"task": "classification", "arms": {}})
    assert read_inputs(bench.workspace).scores is None
