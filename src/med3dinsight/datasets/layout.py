"""What a layout of a source folder is: how it is known, how its scans are listed, what is odd in it.

A layout is one short file with the functions and, for a public data set, its :class:`Facts`; it becomes
known by its entry in ``registry.LAYOUTS`` or ``public.DATASETS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..records import LeftOut, Source

#: Takes a folder and a subject pattern; returns the scans and the files that cannot be used.
Finder = Callable[[Path, str], tuple[list[Source], list[LeftOut]]]


@dataclass(frozen=True)
class Facts:
    """What is known of a public data set beforehand.

    Attributes:
        title: Its full name.
        modality: What it was taken with, in words ("CT", "cine MR").
        licence: Its licence or terms of use, in words.
        citation: What its authors ask to cite.
        url: Where it is described and downloaded.
        third_parties: Whether slices may be shown to services of others: "allowed", "forbidden", or "unknown"
            where the terms do not say.
        gated: Whether the user must agree to terms or apply before a download.
        classes: ``((label value, name), ...)`` of its label maps; empty where there are none.
        note: What a user should know besides; may be empty.
    """

    title: str
    modality: str
    licence: str
    citation: str
    url: str
    third_parties: Literal["allowed", "forbidden", "unknown"]
    gated: bool
    classes: tuple[tuple[int, str], ...]
    note: str = ""


@dataclass(frozen=True)
class Layout:
    """How the files of a source folder are arranged.

    Attributes:
        description: One line for the list of layouts.
        find: Lists the scans; raises :class:`~med3dinsight.errors.InputError` where the folder has not this layout.
        recognises: Says whether a folder has this layout; looks at a few names and reads no voxels.
        oddities: Takes the folder and its scans, and tells what is missing or odd beyond what reading each file
            tells; None where there is nothing to expect.
        facts: What is known of it, for a public data set.
    """

    description: str
    find: Finder
    recognises: Callable[[Path], bool]
    oddities: Callable[[Path, list[Source]], list[LeftOut]] | None = None
    facts: Facts | None = None
