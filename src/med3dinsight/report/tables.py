"""A table as the template draws it: texts in rows, in groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Rows under one heading; the first text of a row is its header."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: What it shows.
        head: Column headers.
        groups: Rows; a group without a title has no heading.
        texts: Number of columns, from the left, that hold text; the others hold numbers.
        stacks: Whether a small screen gets a block a row; a table of several columns of text always does.
    """

    caption: str
    head: tuple[str, ...]
    groups: tuple[Group, ...]
    texts: int = 1
    stacks: bool = False


def plain_table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> Table:
    """Builds a table of one group without a heading."""
    return Table(caption, tuple(head), (Group("", tuple(tuple(row) for row in rows)),), texts)
