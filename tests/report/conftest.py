"""A workspace to report on, and its page taken apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report_numbers import comparison, localization, scores
from report_workbench import Workbench

from med3dinsight.report.inputs import Inputs, read_inputs
from med3dinsight.types import silent


@dataclass
class Parsed(HTMLParser):
    """A page taken apart: its tags with their attributes, and its text."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text with single spaces."""
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every tag of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


def parse(page: str) -> Parsed:
    parsed = Parsed()
    parsed.feed(page)
    parsed.close()
    return parsed


def render(bench: Workbench, **settings: Any) -> str:
    """Renders the page of a workspace."""
    from med3dinsight.report.config import ReportConfig
    from med3dinsight.report.page import render_page

    return render_page(read_inputs(bench.workspace), ReportConfig(**settings), silent)


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """An empty workspace."""
    return Workbench(tmp_path)


@pytest.fixture(scope="session")
def full_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a workspace that every stage has been through."""
    return render(Workbench(tmp_path_factory.mktemp("full")).everything())


@pytest.fixture(scope="session")
def workbench() -> type[Workbench]:
    """The class that builds workspaces."""
    return Workbench


@pytest.fixture
def remove() -> Callable[[Path], None]:
    """Removes a folder."""
    return shutil.rmtree


@pytest.fixture
def page_of() -> Callable[..., str]:
    """Renders the page of a workbench: ``page_of(bench, **settings of the report)``."""
    return render


@pytest.fixture
def parsed() -> Callable[[str], Parsed]:
    """Takes a page apart."""
    return parse


@pytest.fixture
def make_comparison() -> Callable[..., dict[str, Any]]:
    """One comparison of ``scores.json``: ``make_comparison(metric, ci95, **changes)``."""
    return comparison


@pytest.fixture
def make_localization() -> Callable[..., dict[str, Any]]:
    """One arm of ``localization.json``."""
    return localization


@pytest.fixture
def make_scores() -> Callable[..., dict[str, Any]]:
    """A ``scores.json`` of two arms."""
    return scores


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """What the page of a workspace that every stage has been through is made from."""
    return read_inputs(Workbench(tmp_path_factory.mktemp("sections")).everything().workspace)
