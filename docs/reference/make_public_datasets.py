"""Writes public-datasets.md, the page beside this file, from the facts that stand with each reader."""

from __future__ import annotations

from pathlib import Path

from med3dinsight.datasets.layout import Layout
from med3dinsight.datasets.public import DATASETS

PAGE = Path(__file__).with_name("public-datasets.md")
INTRODUCTION = """# Public data sets

Data sets with a reader of their own: download one, unpack it, and give its folder (the one above will do, too):

    med3dinsight datasets check NAME DIR
    med3dinsight prepare --source DIR WORKSPACE

The folder is recognised by the names in it and the layout is said; `--layout NAME` overrides it. `check`
tells what is missing against what was published, and what is odd. Nothing is downloaded by us: every set has terms of
its own, and you agree to them with those who publish it. This page is written from the readers by
`python docs/reference/make_public_datasets.py`; terms change, so read them where you download.

*Services of others* says whether slices may be shown to a remote model: **allowed** by an open licence, **forbidden**
by terms of access (or because access is granted to a person only), **unknown** where the terms do not say or could not
be confirmed. Where it is not **allowed**, use a model on your own machine.

"""


def entry(name: str, layout: Layout) -> str:
    """Returns the section of one data set."""
    facts = layout.facts
    assert facts is not None
    classes = ", ".join(f"{value} {text}" for value, text in facts.classes) or "no label maps"
    access = "after registration or agreement to terms" if facts.gated else "open download"
    lines = [
        f"## `{name}`: {facts.title}",
        "",
        f"- Folder: `{layout.description.partition(': ')[2]}`",
        f"- Modality: {facts.modality}",
        f"- Label values: {classes}",
        f"- Download: <{facts.url}> ({access})",
        f"- Licence: {facts.licence}",
        f"- Services of others: **{facts.third_parties}**",
        f"- Cite: {facts.citation}",
        *([f"- Note: {facts.note}"] if facts.note else []),
    ]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Returns the whole page."""
    return INTRODUCTION + "\n".join(entry(name, layout) for name, layout in DATASETS.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{len(DATASETS)} data sets in {PAGE}")
