"""The page: sections in order, laid out by the templates, with every text of the data escaped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import __version__
from ..types import Progress
from .config import ReportConfig
from .inputs import Inputs
from .pictures import MARK_WORDS
from .sections.captions import caption_section
from .sections.classification import classification_section
from .sections.data import data_section
from .sections.features import feature_section
from .sections.limits import limits
from .sections.localization import localization_section
from .sections.overlays import overlay_section
from .sections.pretraining import pretraining_section
from .sections.probe import probe_section
from .sections.reproduce import reproduce_section
from .sections.segmentation import segmentation_section
from .sections.study_run import study_section
from .sections.summary import summary
from .wording import date

TEMPLATES = Path(__file__).parent / "templates"

#: Sections in the order of the page: name of its template, heading, and what it is made by.
SECTIONS: tuple[tuple[str, str, Callable[[Inputs, ReportConfig], Any]], ...] = (
    ("summary", "What this shows", summary),
    ("study_run", "What was run", lambda inputs, _: study_section(inputs)),
    ("data", "Data and origins", lambda inputs, _: data_section(inputs)),
    ("captions", "Slices and their captions", caption_section),
    ("features", "2D features", lambda inputs, _: feature_section(inputs)),
    ("pretraining", "Pre-training", lambda inputs, _: pretraining_section(inputs)),
    ("localization", "Slice localisation", localization_section),
    ("probe", "Frozen voxel probe", lambda inputs, _: probe_section(inputs)),
    ("segmentation", "Fine-tuning for segmentation", lambda inputs, _: segmentation_section(inputs)),
    ("classification", "Fine-tuning for classification", lambda inputs, _: classification_section(inputs)),
    ("overlays", "Slices with label maps", overlay_section),
    ("limits", "Limits", lambda inputs, _: limits(inputs)),
    ("reproduce", "How to reproduce", lambda inputs, _: reproduce_section(inputs)),
)

#: Sections that are left out where they are None; the others say what was not run.
OPTIONAL = frozenset({"classification"})
#: The same in a workspace where only the other task was fine-tuned.
SEGMENTATION_ONLY = frozenset({"segmentation", "overlays"})


def render_page(inputs: Inputs, config: ReportConfig, progress: Progress) -> str:
    """Builds all sections and returns the page as HTML.

    Args:
        inputs: What the workspace holds.
        config: Settings of the report.
        progress: Told the sections done.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    optional = OPTIONAL | SEGMENTATION_ONLY if inputs.classifying and not inputs.finetuning else OPTIONAL
    contents = []
    for done, (name, heading, build) in enumerate(SECTIONS, start=1):
        content = build(inputs, config)
        if content is not None or name not in optional:
            contents.append({"name": name, "heading": heading, "content": content})
        progress(done, len(SECTIONS), heading)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # always: the default goes by the file's ending, and ours is .j2
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["zip"] = zip
    finished = max(record.finished for record in inputs.records.values())
    return environment.get_template("page.html.j2").render(
        title=config.title or inputs.study.get("title") or inputs.study.get("name") or "Report",
        finished=date(finished),
        version=__version__,
        mark_words=MARK_WORDS,
        sections=contents,
    )
