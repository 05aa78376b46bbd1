"""The page of an audit: one file that needs no network; every text is shown as text, whatever it holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..slices.marks import MARK_WORDS
from .examples import SHOWN_CHARACTERS, Example
from .tally import NAMED_FROM_CM2

TEMPLATES = Path(__file__).parent / "templates"


def render_audit(audit: dict[str, Any], worst: Sequence[Example], sample: Sequence[Example]) -> str:
    """Returns the page as HTML.

    Args:
        audit: What ``audit.json`` holds.
        worst: The worst texts with their pictures.
        sample: Texts drawn at random.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # always: the default goes by the file's ending, and ours is .j2
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["shown"] = visible
    organs = list(audit["organs"]["by_organ"].items())
    return environment.get_template("page.html.j2").render(
        audit=audit,
        groups=(("Worst", "worst", worst), ("At random", "random", sample)),
        named_organs=[row for row in organs if row[1]["said"]],
        other_organs=[row for row in organs if not row[1]["said"]],
        version=__version__,
        mark_words=MARK_WORDS,
        named_from=NAMED_FROM_CM2,
        shown_characters=SHOWN_CHARACTERS,
    )


def percent(share: float | None) -> str:
    """Writes a share for people; a share that is not whole is never rounded to nothing or all.

    Example:
        >>> percent(0.123), percent(0.9996), percent(1.0), percent(None)
        ('12.3 %', '> 99.9 %', '100 %', '–')
    """
    if share is None:
        return "\u2013"
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    return "> 99.9 %" if share > 0.999 else "< 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def visible(text: str) -> str:
    r"""Makes characters visible that would hide or turn around what follows them: control characters, directions.

    Example:
        >>> visible("a\x07b\u202ec")
        'a\\x07b\\u202ec'
    """
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )
