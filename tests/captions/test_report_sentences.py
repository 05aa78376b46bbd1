"""Reports in pieces: nothing lost, nothing too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.captions.report_sentences import beginning, fitted, split_sentences

REPORT = """FINDINGS:
The lungs are clear, cf. the study of Dr. A. Smith from
12.03.2019. A nodule of 1.5 cm (series 3, im. 40) is seen!  Stable?

1. Liver: normal.
2) No effusion
- Spine intact

IMPRESSION:
No acute disease.
"""


def test_a_report_is_split_where_sentences_points_and_headings_end() -> None:
    assert split_sentences(REPORT) == [
        "FINDINGS: The lungs are clear, cf. the study of Dr. A. Smith from 12.03.2019.",
        "A nodule of 1.5 cm (series 3, im. 40) is seen!",
        "Stable?",
        "Liver: normal.",
        "No effusion",
        "Spine intact",
        "IMPRESSION: No acute disease.",
    ]


@pytest.mark.parametrize("report", ["", " \n\r\n ", "- ", "..."])
def test_what_says_nothing_gives_next_to_nothing(report: str) -> None:
    assert len(split_sentences(report)) <= 1


def test_other_scripts_and_line_ends_are_split_too() -> None:
    chinese = ["\u809d\u6b63\u5e38\u3002", "\u65e0\u79ef\u6db2\u3002"]
    assert split_sentences("".join(chinese)) == chinese
    assert split_sentences("Leber normal.\r\nMilz normal.") == ["Leber normal.", "Milz normal."]


@given(st.text(alphabet="ab.,;: \n-!?A\u3002", max_size=400), st.integers(1, 5), st.integers(5, 20))
def test_no_letter_is_lost_and_no_piece_is_too_long(report: str, least: int, most: int) -> None:
    sentences = split_sentences(report)
    pieces = fitted(sentences, least, most)
    assert " ".join(pieces).split() == " ".join(sentences).split()
    assert all(1 <= len(piece.split()) <= most for piece in pieces)
    if len(pieces) > 1 and len(pieces[0].split()) < least:
        assert len(f"{pieces[0]} {pieces[1]}".split()) > most
    letters = [letter for letter in report if letter in "abA"]
    assert [letter for letter in "".join(pieces) if letter in "abA"] == letters


def test_long_sentences_are_cut_at_clauses_first_and_short_ones_joined() -> None:
    assert fitted(["a b c, d e; f g h i j k"], 1, 4) == ["a b c,", "d e;", "f g h i", "j k"]
    assert fitted(["Lungs:", "clear on both sides.", "Heart normal in size.", "End."], 2, 6) == [
        "Lungs: clear on both sides.",
        "Heart normal in size. End.",
    ]


def test_the_beginning_is_of_whole_pieces_and_never_empty() -> None:
    assert beginning(["a b c", "d e", "f"], 5) == "a b c d e"
    assert beginning(["a b c", "d"], 2) == "a b c"
