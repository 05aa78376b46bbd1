"""The scores of the caption audit in the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from med3dinsight.auditing.config import AuditConfig
from med3dinsight.auditing.run import run
from med3dinsight.report.config import ReportConfig
from med3dinsight.report.inputs import read_inputs
from med3dinsight.report.sections.captions import CaptionSection, caption_section
from med3dinsight.workspace.provenance import write_record


def section_of(bench: Any) -> CaptionSection:
    section = caption_section(read_inputs(bench.workspace), ReportConfig())
    assert section is not None
    return section


def test_captions_that_were_not_audited_are_not_passed_over(bench: Any) -> None:
    bench.prepare("ann", "bob")
    bench.caption("tissue")
    section = section_of(bench)
    assert section.audits is None
    assert section.remarks == ("Not audited, so that nothing is known of their truth: texts of tissue.",)


def test_the_score_stands_beside_how_many_texts_said_anything(
    bench: Any, page_of: Callable[..., str], parsed: Callable[[str], Any]
) -> None:
    bench.prepare("ann", "bob")
    bench.caption("shuffled")
    bench.caption("tissue", "An axial CT slice.")
    run(AuditConfig(captioner="tissue"), bench.workspace)
    section = section_of(bench)
    assert section.audits is not None
    (row,) = section.audits.groups[0].rows
    # 4 slices in each of 3 planes of 2 people, and all are called axial.
    assert [cell.replace("\u202f", " ") for cell in row] == [
        "tissue",
        "33.3 % (8 of 24)",
        "33.3 % (8 of 24)",
        "100.0 % (24 of 24)",
        "–",
        "–",
    ]
    assert section.remarks == ("Not audited, so that nothing is known of their truth: texts of shuffled.",)
    assert "Caption audit: texts against headers" in parsed(page_of(bench)).text


def test_an_audit_of_texts_that_are_gone_is_called_one(bench: Any) -> None:
    bench.prepare("ann")
    bench.caption("tissue")
    run(AuditConfig(), bench.workspace)
    assert section_of(bench).remarks == ()
    record = bench.workspace.require(bench.workspace.captions / "tissue", "caption")
    write_record(bench.workspace.captions / "tissue", replace(record, fingerprint="of other texts"))
    assert section_of(bench).remarks == ("tissue was audited before its texts or the scans were made anew.",)
