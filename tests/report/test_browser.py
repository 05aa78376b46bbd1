"""The page in a real browser: nothing to complain about, and nothing sticks out of a phone's screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser_frame import look


@pytest.mark.browser
def test_the_page_renders_without_complaint_and_fits_a_phone(chromium: str, tmp_path: Path, full_page: str) -> None:
    seen, complaints = look(chromium, tmp_path, full_page, 390)
    assert seen["title"] == "A tiny study"
    assert not complaints
    assert seen["inside"] == 390
    assert seen["content"] <= 390
    assert seen["images"] > 15
    assert seen["broken"] == 0
    assert seen["sections"] == 12
    assert seen["fetched"] == []


@pytest.mark.browser
def test_this_very_look_would_find_what_is_wrong(chromium: str, tmp_path: Path, full_page: str) -> None:
    wrong = (
        '<script>alert(1)</script><img src="https://example.invalid/x.png" alt=""><div style="width:700px">wide</div>'
    )
    seen, complaints = look(chromium, tmp_path, full_page.replace("<footer>", wrong + "<footer>"), 390)
    assert seen["content"] > 390
    assert seen["broken"] == 1
    assert any("script" in line for line in complaints)
    assert any("example.invalid" in line for line in complaints)
