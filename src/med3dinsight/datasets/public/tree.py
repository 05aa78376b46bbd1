"""What lies below a folder, by name: a glimpse to recognise a data set by, and every file to list its scans."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import InputError

#: A glimpse looks at so many entries of a folder, and follows so many ways down, in so many folders of one at most.
_ENTRIES, _WAYS, _FOLDERS, _DEPTH = 400, 24, 8, 7


def glimpse(directory: Path) -> list[str]:
    """Returns some of the paths below a folder, few enough to take milliseconds in a folder of any size.

    Args:
        directory: The folder; its own name is the first part of every path.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     folder = Path(name) / "LiTS"
        ...     (folder / "batch1").mkdir(parents=True)
        ...     _ = (folder / "batch1" / "volume-0.nii").write_bytes(b"")
        ...     glimpse(folder)
        ['LiTS/batch1/', 'LiTS/batch1/volume-0.nii']
    """
    return list(_look(directory, f"{directory.name}/", _WAYS, _DEPTH))


def _look(folder: Path, prefix: str, ways: int, depth: int) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            some = sorted(itertools.islice(entries, _ENTRIES), key=lambda entry: entry.name)
    except OSError:
        return
    folders: list[os.DirEntry[str]] = []
    for entry in some:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            folders.append(entry)
        else:
            yield f"{prefix}{entry.name}"
    yield from (f"{prefix}{entry.name}/" for entry in folders)
    followed = folders[: min(ways, _FOLDERS)] if depth else []
    for entry in followed:
        yield from _look(Path(entry.path), f"{prefix}{entry.name}/", ways // len(followed), depth - 1)


def shows(directory: Path, pattern: str) -> bool:
    """Says whether a regular expression is found in one of the paths of a glimpse."""
    compiled = re.compile(pattern)
    return any(compiled.search(path) for path in glimpse(directory))


def files(directory: Path, pattern: str) -> list[tuple[re.Match[str], Path]]:
    """Lists the files whose path below a folder ends as a regular expression says, sorted by path.

    Hidden files and folders, and our own output, are left alone.

    Args:
        directory: The folder, at any level above the files.
        pattern: Of the end of the path (with ``/`` between its parts), from the start of a name on.

    Returns:
        The match and the path of every file.
    """
    compiled = re.compile(rf"(?:.*/)?(?:{pattern})\Z", re.DOTALL)
    found: list[tuple[re.Match[str], Path]] = []
    for name, folders, entries in os.walk(directory):
        if "workspace.json" in entries:  # our own output may lie among the scans
            folders.clear()
            continue
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        below = Path(name).relative_to(directory).as_posix()
        prefix = "" if below == "." else f"{below}/"
        for entry in entries:
            match = None if entry.startswith(".") else compiled.match(prefix + entry)
            if match is not None:
                found.append((match, Path(name, entry)))
    return sorted(found, key=lambda item: item[0].string)


def nothing_found(directory: Path, title: str, expected: str) -> InputError:
    """Returns the error of a folder that holds nothing of a data set.

    Args:
        directory: The folder.
        title: The data set.
        expected: How its files are named.
    """
    return InputError(f"{directory} holds no scan of {title}", f"its files are named like {expected}")
