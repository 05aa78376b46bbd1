"""Numbers and lists in words; an undefined number is an en dash."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

UNDEFINED = "–"
_MINUS = "−"
#: Narrow, and no line breaks at it.
_SPACE = "\u202f"


def number(value: float | None, digits: int = 2) -> str:
    """Returns a number with a fixed count of decimals.

    Example:
        >>> number(1.25, 1), number(-0.5), number(None)
        ('1.2', '−0.50', '–')
    """
    if value is None or not math.isfinite(value):
        return UNDEFINED
    text = f"{value:.{digits}f}"
    return text.replace("-", _MINUS) if float(text) else text.lstrip("-")


def signed(value: float | None, digits: int = 2) -> str:
    """Returns a number with its sign.

    Example:
        >>> signed(0.012, 3), signed(-1.0, 1), signed(0.0, 1)
        ('+0.012', '−1.0', '0.0')
    """
    text = number(value, digits)
    return f"+{text}" if any(digit in text for digit in "123456789") and not text.startswith(_MINUS) else text


def percent(value: float | None, digits: int = 0) -> str:
    r"""Returns a share as per cent.

    Example:
        >>> percent(0.025, 1)
        '2.5\u202f%'
    """
    return UNDEFINED if value is None else f"{number(value * 100, digits)}{_SPACE}%"


def interval(ends: Sequence[float], digits: int = 2) -> str:
    """Returns the two ends of an interval.

    Example:
        >>> interval([-0.01, 0.03])
        '−0.01 to +0.03'
    """
    return f"{signed(ends[0], digits)} to {signed(ends[1], digits)}"


def with_range(mean: float | None, values: Sequence[float], digits: int = 2) -> str:
    r"""Returns a mean with the least and the greatest of the values behind it, where there are several.

    Example:
        >>> with_range(0.5, [0.4, 0.6], 1), with_range(0.5, [0.5], 1)
        ('0.5 (0.4–\u20600.6)', '0.5')
    """
    text = number(mean, digits)
    # The word joiner keeps a line from breaking after the dash.
    return text + (f" ({number(min(values), digits)}–\u2060{number(max(values), digits)})" if len(values) > 1 else "")


def p_value(value: float | None) -> str:
    """Returns a p-value with three decimals at most.

    Example:
        >>> p_value(0.0421), p_value(0.00001), p_value(1.0)
        ('0.042', '< 0.001', '1.00')
    """
    if value is None:
        return UNDEFINED
    return "< 0.001" if value < 0.001 else number(value, 2 if value >= 0.1 else 3)


def duration(seconds: float) -> str:
    """Returns a time in the two largest units.

    Example:
        >>> duration(4.21), duration(75), duration(7260)
        ('4.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def count(amount: int, one: str, many: str = "") -> str:
    """Returns an amount with its noun.

    Example:
        >>> count(1, "seed"), count(3, "seed"), count(2, "person", "people")
        ('1 seed', '3 seeds', '2 people')
    """
    return f"{amount:,}".replace(",", _SPACE) + f" {one if amount == 1 else many or one + 's'}"


def listed(items: Sequence[Any]) -> str:
    """Returns items as a list in a sentence.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    words = [str(item) for item in items]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def plain(value: Any) -> str:
    """Returns a setting's value as people write it.

    Example:
        >>> plain([1, 2]), plain(True), plain({"liver": ["liver"]}), plain(None)
        ('1, 2', 'yes', 'liver = liver', '–')
    """
    if value is None or value in ("", [], {}, ()):
        return UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "; ".join(f"{name} = {plain(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def date(unix_seconds: float) -> str:
    """Returns a moment in UTC.

    Example:
        >>> date(0)
        '1 January 1970, 00:00 UTC'
    """
    moment = datetime.fromtimestamp(unix_seconds, UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
