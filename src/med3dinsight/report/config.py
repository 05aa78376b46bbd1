"""Settings of the report; the table ``[report]`` of a study."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ..config import StageConfig


class ReportConfig(StageConfig):
    """What the page is called, how many pictures it shows, and which targets it measures localisation by."""

    section: ClassVar[str] = "report"

    title: str = Field("", description="title of the page; empty = the study's title")
    example_slices: int = Field(6, ge=0, le=60, description="slices shown with their captions, one a case at most")
    overlay_cases: int = Field(1, ge=0, le=20, description="test cases of which slices with label maps are shown")
    target_error_mm: float = Field(30.0, gt=0, description="localisation: mean error in mm that is to be reached")
    target_margin_mm: float = Field(15.0, ge=0, description="localisation: mm to be better than the wrong volume")
    target_recall: float = Field(0.10, ge=0, le=1, description="localisation: crop R@1 (0 to 1) that is to be reached")
