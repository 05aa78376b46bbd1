"""Files of voxels that lie beside their header: which of them may be read.

A header can name any file as the place of its voxels. Only a regular file of plain name in the header's own
folder is accepted, so that a stranger's header cannot make us read something else.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import InputError


def detached_file(path: Path, name: str) -> Path:
    """Returns the file of voxels that a header names.

    Args:
        path: The header.
        name: What it calls the file.

    Raises:
        InputError: The name is not plain, leads out of the folder (by a link too), or is that of no file.
    """
    shown = repr(name if len(name) <= 80 else name[:80] + "…")
    plain = re.fullmatch(r"[\w.\- ]+", name) and name not in (".", "..") and not name.upper().startswith("LIST")
    target = path.parent / name if plain else path
    if not plain or target.resolve().parent != path.parent.resolve():
        raise InputError(
            f"{path.name} keeps its voxels in {shown}", "only a file of plain name in the same folder is read, no link"
        )
    if not target.exists():
        raise InputError(f"{path.name} keeps its voxels in {shown}, which is missing", "copy that file beside it")
    if not target.is_file():
        raise InputError(f"{path.name} keeps its voxels in {shown}, which is no regular file", "export it again")
    return target
