"""Problems of files as a table for people: three columns on a wide terminal, blocks on a narrow one."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Columns of a terminal from which on three columns of text can be read.
WIDE = 90
#: Where there is no terminal, as in a file of logs.
ASSUMED = 120


def problem_table(problems: Sequence[Mapping[str, str]], root: Path, width: int | None = None) -> list[str]:
    """Returns the lines of a table of file, reason and hint.

    Args:
        problems: Each with ``file``, ``reason`` and ``hint``.
        root: Folder that files are shown relative to.
        width: Columns of text; None asks the terminal.
    """
    if not problems:
        return []
    width = shutil.get_terminal_size((ASSUMED, 24)).columns if width is None else width
    rows = [(_relative(item["file"], root), item["reason"], item["hint"]) for item in problems]
    return _columns(rows, width) if width >= WIDE else _blocks(rows, width)


def _relative(file: str, root: Path) -> str:
    path = Path(file)
    base = root.absolute()
    shown = str(path.relative_to(base)) if path.is_relative_to(base) else file
    return base.name if shown == "." else shown


def _columns(rows: Sequence[tuple[str, str, str]], width: int) -> list[str]:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, width=width, pad_edge=False)
    for title, ratio in (("file", 3), ("reason", 4), ("what to do", 3)):
        table.add_column(title, ratio=ratio, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # names may hold brackets, which are no markup
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines() if line.strip()]


def _blocks(rows: Sequence[tuple[str, str, str]], width: int) -> list[str]:
    import textwrap

    lines: list[str] = []
    for file, reason, hint in rows:
        lines.append(file)
        for text in (reason, f"-> {hint}"):
            lines += textwrap.wrap(text, max(width, 20), initial_indent="  ", subsequent_indent="  ")
    return lines
