"""One item: its result, or why it has none. A bad item is a value, so that it never stops the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import InputError, Med3DInsightError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failed:
    """Why an item has no result.

    Attributes:
        reason: What is wrong with it, on one line.
        hint: What to do about it, on one line.
        expected: False where it is not the item that is known to be bad: too little memory, a process that died,
            or a bug.
    """

    reason: str
    hint: str
    expected: bool = True


def attempt(function: Callable[[Item], Result], item: Item) -> Result | Failed:
    """Applies a function to an item; an input error, a lack of memory and a bug become a :class:`Failed`.

    Raises:
        Med3DInsightError: Any error made on purpose but an input error (a full disk, a wrong setting): it is not
            about this item alone.

    Example:
        >>> attempt(int, "x")
        Failed(reason="unexpected ValueError: invalid literal for int() with base 10: 'x'", hint=..., expected=False)
    """
    try:
        return function(item)
    except InputError as error:
        return Failed(error.message, error.hint)
    except Med3DInsightError:
        raise
    except MemoryError as error:
        return Failed(
            f"unexpected lack of memory ({str(error) or 'MemoryError'})",
            "use fewer workers or a larger spacing, or a machine with more memory",
            expected=False,
        )
    except Exception as error:
        return Failed(
            f"unexpected {type(error).__name__}: {' '.join(str(error).split())}",
            f"a bug, or the item is too large; please report it with the place: {_place(error)}",
            expected=False,
        )


def died(code: int) -> Failed:
    """Says that the process of an item died twice, the second time with no other beside it.

    Args:
        code: Exit code of the process; negative for a signal.
    """
    if code == -9:
        return Failed(
            "unexpected end: its process was killed twice, the second time alone; memory may be too small for it",
            "use a larger spacing, or a machine with more memory",
            expected=False,
        )
    how = f"signal {-code}" if code < 0 else f"code {code}"
    return Failed(
        f"unexpected end: its process ended twice with {how}",
        "a bug of a library that reads this format; please report it, and convert the file for now",
        expected=False,
    )


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno}"
