from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.report.wording import UNDEFINED, count, duration, interval, number, p_value, percent, plain, signed


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_numbers_read_back_and_there_is_no_minus_zero(value: float, digits: int) -> None:
    text = number(value, digits).replace("−", "-")
    assert float(text) == pytest.approx(value, abs=0.51 * 10**-digits)
    assert not (text.startswith("-") and float(text) == 0)
    assert "-" not in number(value, digits)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_undefined_is_an_en_dash(value: float | None) -> None:
    assert number(value) == signed(value) == UNDEFINED == "–"


@given(st.floats(-100, 100))
def test_a_sign_stands_before_everything_but_zero(value: float) -> None:
    text = signed(value, 2)
    shown = float(text.replace("−", "-"))
    assert text[0] == ("+" if shown > 0 else "−" if shown < 0 else "0")


@given(st.floats(1e-12, 1))
def test_a_p_value_is_never_shown_as_zero(value: float) -> None:
    text = p_value(value)
    assert text == "< 0.001" or float(text) > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.7, "1 min 0 s"), (3599.9, "1 h 0 min"), (45.2, "45 s"), (90000, "25 h 0 min")],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lines_do_not_break_inside_a_number() -> None:
    assert count(15360, "slice") == "15\u202f360 slices"
    assert " " not in percent(0.5)
    assert interval([-1, 2], 0) == "−1 to +2"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0, "0"), (False, "no"), ("", "–"), ([], "–"), (1e-3, "0.001"), ([1.5, 2], "1.5, 2"), (None, "–")],
)
def test_settings_are_written_as_people_write_them(value: object, text: str) -> None:
    assert plain(value) == text
