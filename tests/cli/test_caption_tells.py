"""What the verb ``caption`` tells a reader: what waits, what is in doubt, what was cut, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from med3dinsight.captions.run import CaptionResult
from med3dinsight.cli.caption import say


def told(captioner: str = "openai", **changes: Any) -> str:
    nothing = {"captioned": 3, "quarantined": 0, "requests_sent": 0, "cost_usd": 0.0}
    return say(vars(CaptionResult(**{**nothing, "captioner": captioner, **changes})))


def test_nothing_special_is_told_of_a_run_without_trouble() -> None:
    assert told() == "captioned 3 slices with openai"


def test_who_waits_for_files_of_another_captioner_is_told_where_and_what_to_do() -> None:
    text = told(left=7, stopped="files", waiting=7, waiting_for=("openai-batch",))
    assert "7 slices are left to do: their questions wait for answers to request files of another captioner" in text
    assert "other" not in told(left=7) and "run it again for the rest" in told(left=7)
    some = told(left=9, stopped="files", waiting=7, waiting_for=("openai-batch",))
    assert "9 slices are left to do: 7 wait for answers (" in some and "for the other 2: run it again" in some
    assert "for the other 2: the budget is used up" in told(left=9, stopped="budget", waiting=7, waiting_for=("x",))
    assert "in asked/openai-batch, and are asked nowhere else meanwhile" in text and "remove that folder" in text


@pytest.mark.parametrize(
    ("files", "words"),
    [(("asked/openai-batch/requests-0001.jsonl",), "upload each file"), ((), "no new question is to be asked")],
)
def test_who_waits_for_files_of_its_own_is_told_to_bring_the_answers(files: tuple[str, ...], words: str) -> None:
    text = told("openai-batch", left=7, stopped="files", waiting=7, waiting_for=("openai-batch",), files=files)
    assert words in text and "note:" not in text


def test_money_in_doubt_and_cut_answers_are_told() -> None:
    text = told(in_doubt_usd=0.25, quarantined=2, cut=2, refused=3)
    assert "of these 3 because the model refused" in text
    assert "0.2500 USD may have been paid for no answer" in text
    assert "of these 2 because the answer was longer than caption.max_tokens" in text
