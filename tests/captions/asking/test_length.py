"""Texts that are too long to be read by anybody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.captions.asking.length import MOST_CHARACTERS, shortened


@given(st.text(alphabet="ab .!\n", max_size=60), st.integers(1, 40))
def test_a_text_is_cut_to_its_beginning_and_loses_less_than_half(text: str, most: int) -> None:
    short = shortened(text, most)
    assert text.startswith(short)
    assert min(len(text), most // 2) <= len(short) <= most
    assert (short == text) == (len(text) <= most)


def test_sentences_stay_whole_where_they_can_and_words_where_sentences_cannot() -> None:
    assert shortened("One here. Two here. Three", 20) == "One here. Two here."
    assert shortened("One. " + "word " * 4, 20) == "One. word word word"
    assert shortened("x" * 30, 20) == "x" * 20
    assert shortened("It measures 3.5 cm here. No", 25) == "It measures 3.5 cm here."


def test_what_fits_is_not_touched() -> None:
    text = "A slice. " * 400
    assert shortened(text) == text
    assert len(shortened(text * 10)) <= MOST_CHARACTERS
