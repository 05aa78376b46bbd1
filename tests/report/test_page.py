from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from med3dinsight.report.page import OPTIONAL, SECTIONS

Render = Callable[..., str]
HOSTILE = '"><img src=x onerror="alert(1)"><script>alert(2)</script>{{ 7 * 7 }} & </style>'
#: May be the name of a case, and so of a file.
HOSTILE_NAME = 'b"><script>alert(3)<b>'


def test_every_section_is_there_and_in_the_contents(full_page: str, parsed: Any) -> None:
    page = parsed(full_page)
    names = [name for name, _, _ in SECTIONS if name not in OPTIONAL]
    assert [tag["id"] for tag in page.all("section")] == names
    assert [tag["href"] for tag in page.all("a")] == [f"#{name}" for name in names]
    for name, heading, _ in SECTIONS:
        assert (heading in page.text) == (name in names)
    assert not [tag for _, tag in page.tags if tag.get("class") == "notrun"]


def test_the_page_says_the_main_things_in_words(full_page: str, parsed: Any) -> None:
    text = parsed(full_page).text
    for words in (
        "A tiny study",
        "mean error of 24.0 mm; asked of the wrong volume the error is 50.0 mm",
        "No gain is claimed: the interval contains 0.",
        "A gain is claimed only where the interval excludes 0 and the p-value that counts all",
        "rule-based describer, not a language model",
        "a stand-in for a medical CLIP",
        "One subject was tested",
        "drawn by a segmentation model",
        "Licence: CC0",
    ):
        assert words in text, words


def test_a_task_that_nobody_was_trained_for_is_left_out_where_another_was(
    bench: Any, page_of: Render, parsed: Any
) -> None:
    bench.prepare("ann", "bob")
    bench.classify()
    shown = [tag["id"] for tag in parsed(page_of(bench)).all("section")]
    assert "classification" in shown
    assert not {"segmentation", "overlays"} & set(shown)


def test_tables_of_many_texts_can_be_read_as_blocks(full_page: str, parsed: Any) -> None:
    page = parsed(full_page)
    assert {tag["aria-label"] for tag in page.all("table") if tag.get("class") == "stacks"} >= {
        "Arms: what is compared",
        "Pre-training runs: what they learned from",
    }
    assert {"Method", "Encoder"} <= {tag.get("data-label") for tag in page.all("td")}


def test_nothing_can_reach_the_network(full_page: str, parsed: Any) -> None:
    page = parsed(full_page)
    (policy,) = [tag["content"] for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "background"):
            assert re.match(r"data:|#|$", attributes.get(name, "")), (tag, attributes)
    style = full_page.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"https?:|//[a-z]", re.sub(r"data:[^\"]*", "", full_page))


def test_pictures_have_words_and_tables_have_headers(full_page: str, parsed: Any) -> None:
    page = parsed(full_page)
    assert len(page.all("img")) > 15
    assert all(tag.get("alt") for tag in page.all("img"))
    assert page.all("html") == [{"lang": "en"}]
    assert all(tag.get("scope") in {"col", "row", "rowgroup"} for tag in page.all("th"))
    assert len(page.all("table")) == len([tag for tag in page.all("div") if tag.get("class") == "scroll"])
    assert all(tag.get("aria-label") for tag in page.all("table"))


def test_hostile_text_from_the_data_stays_text(
    bench: Any, page_of: Render, parsed: Any, make_localization: Any, full_page: str
) -> None:
    bench.everything(test=HOSTILE_NAME, title=HOSTILE)
    bench.caption("tissue", HOSTILE)
    bench.localize({HOSTILE: make_localization(person=HOSTILE)})
    page = parsed(page_of(bench))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in parsed(full_page).tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert all(tag["src"].startswith("data:image/") for tag in page.all("img"))
    words = " ".join(HOSTILE.split())
    assert page.text.count(words) >= 4
    assert HOSTILE_NAME in page.text
    assert any(HOSTILE_NAME in tag["alt"] for tag in page.all("img"))


def test_a_workspace_with_prepared_scans_only_gives_a_page_that_says_what_is_missing(
    bench: Any, page_of: Render, parsed: Any
) -> None:
    bench.prepare("ann", "bob")
    text = parsed(page_of(bench)).text
    for words in (
        "No slice was captioned.",
        "Nothing was embedded.",
        "Nothing was pre-trained.",
        "Slice localisation was not run.",
        "The frozen voxel probe was not run.",
        "Nothing was fine-tuned.",
        "There is no prediction to show.",
        "The stages were called one by one",
        "nothing was tested on anybody yet",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("captions", "No slice was captioned."),
        ("features", "Nothing was embedded."),
        ("pretraining", "Nothing was pre-trained."),
        ("finetuning", "Nothing was fine-tuned."),
        ("evaluation", "The predictions were not scored."),
    ],
)
def test_any_one_stage_may_be_missing(
    bench: Any, page_of: Render, parsed: Any, remove: Callable[[Any], None], folder: str, words: str
) -> None:
    bench.everything()
    remove(bench.workspace.root / folder)
    assert words in parsed(page_of(bench, example_slices=1)).text


def test_the_title_is_the_setting_then_the_study_s(bench: Any, page_of: Render, parsed: Any) -> None:
    bench.prepare("ann")
    assert "<title>Report</title>" in page_of(bench)
    bench.study(title="")
    assert "<title>tiny</title>" in page_of(bench)
    assert "<title>Mine</title>" in page_of(bench, title="Mine")


def test_the_same_workspace_gives_the_same_page(bench: Any, page_of: Render, full_page: str) -> None:
    assert page_of(bench.everything()) == full_page
