"""The audit's page in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser_frame import look

from med3dinsight.auditing.config import AuditConfig
from med3dinsight.auditing.run import run

LONG = "Axial" + "x" * 3000 + " CT <script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.mark.browser
def test_the_page_renders_without_complaint_and_fits_a_phone_whatever_the_texts_hold(
    chromium: str, tmp_path: Path, toy: Any
) -> None:
    toy.add("anna")
    toy.prepare()
    toy.caption("model", text=lambda ref: f"Coronal CT slice with a ball, {LONG if ref.index % 3 else 'no liver'}")
    toy.caption("other", text=lambda ref: "Coronal MRI")
    result = run(AuditConfig(captioner="model", against="other", examples=5), toy.workspace)
    seen, complaints = look(chromium, tmp_path, Path(result.page).read_text(encoding="utf-8"), 390)
    assert seen["title"] == "Caption audit: model"
    assert seen["content"] == seen["inside"], "nothing sticks out"
    assert (seen["images"], seen["broken"], seen["sections"], seen["fetched"]) == (10, 0, 2, [])
    assert complaints == []
