"""Answers are read leniently where nothing is guessed, and refused only where there is no caption."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.captions.prompts.answer import AnswerError, SliceDescription, answer_schema, parse_answer

GOOD: dict[str, Any] = {
    "modality": "CT",
    "plane": "axial",
    "position": "upper abdomen",
    "anatomy": ["liver", "spleen"],
    "appearance": "smooth",
    "caption": "An axial CT slice of the liver.",
}


@pytest.mark.parametrize(
    "wrap",
    ["{}", "  {}\n", "```json\n{}\n```", "Here it is:\n{}\nHope it helps", "<think>{{so}} then {{</think>{}"],
)
def test_the_object_is_found_in_what_servers_put_around_it(wrap: str) -> None:
    assert parse_answer(wrap.replace("{}", json.dumps(GOOD))) == SliceDescription(**GOOD)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "I cannot help with that.",
        '{"modality": "CT", "plane": "axial", "caption": "An axial',
        json.dumps({**GOOD, "caption": "  \n"}),
        json.dumps({name: value for name, value in GOOD.items() if name != "caption"}),
        json.dumps({**GOOD, "caption": 3}),
        json.dumps([GOOD["caption"]]),
        '{"caption": "\\ud800"}',
        '{"caption": "\ud800"}',
        '{"a":' * 100_000,
        "null",
    ],
)
def test_without_a_readable_caption_it_is_unreadable(content: str) -> None:
    with pytest.raises(AnswerError, match="cannot be read"):
        parse_answer(content)


def test_the_message_says_what_is_wrong_without_repeating_the_text() -> None:
    with pytest.raises(AnswerError, match="caption: ") as caught:
        parse_answer(json.dumps({**GOOD, "caption": {"secret": 1}}))
    assert "secret" not in str(caught.value)


def test_a_caption_of_a_megabyte_or_with_html_is_read_as_it_is() -> None:
    long = "<b>liver</b> " * 80_000
    assert parse_answer(json.dumps({**GOOD, "caption": long})).text == long.strip()


def test_other_spellings_and_further_keys_are_no_reason_to_pay_again() -> None:
    said = parse_answer(
        json.dumps({**GOOD, "modality": "mri", "plane": "AXIAL", "anatomy": "liver, spleen", "more": 1})
    )
    assert (said.modality, said.plane, said.anatomy) == ("MR", "axial", ["liver", "spleen"])


def test_a_contradiction_is_kept_for_the_flags() -> None:
    assert parse_answer(json.dumps({**GOOD, "plane": "oblique", "modality": "ultrasound"})).plane == "oblique"


def test_the_text_is_one_line_and_keeps_control_characters_to_be_flagged() -> None:
    assert parse_answer(json.dumps({**GOOD, "caption": "liver\n\n and\tspleen\x1b"})).text == "liver and spleen\x1b"


def test_the_schema_asks_for_every_key_and_no_other() -> None:
    schema = answer_schema()
    assert schema["required"] == list(schema["properties"]) == list(GOOD)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["plane"]["enum"] == ["axial", "coronal", "sagittal", "unknown"]


@given(st.text())
def test_any_text_is_either_read_or_refused(content: str) -> None:
    with contextlib.suppress(AnswerError):
        assert parse_answer(content).caption


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), st.lists(st.text(max_size=5), max_size=3)
)
def test_whatever_a_caption_says_comes_back(caption: str, anatomy: list[str]) -> None:
    if caption.strip():
        said = parse_answer(json.dumps({**GOOD, "caption": caption}))
        assert said.caption == caption.strip()
