"""Walks a source folder of any depth and tells scans from files that only may be DICOM and from all others.

Links to folders are followed where they lead out of the source folder, and none twice; hidden files, what macOS
leaves in archives, and workspaces of this program are passed over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..records import LeftOut
from ..volumes import nifti
from ..volumes.reading import SUFFIXES

#: Endings of files that are never opened to see whether they are DICOM.
OTHER_SUFFIXES = frozenset(
    {
        *(".txt", ".json", ".jsonl", ".xml", ".csv", ".tsv", ".md", ".rst", ".pdf", ".html", ".htm", ".log", ".docx"),
        *(".doc", ".xlsx", ".xls", ".pptx", ".yml", ".yaml", ".toml", ".ini", ".cfg", ".py", ".ipynb", ".sh", ".bat"),
        *(".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".svg", ".stl", ".obj", ".vtk", ".vtp", ".ply"),
        *(".zip", ".gz", ".bz2", ".xz", ".tar", ".7z", ".rar", ".mat", ".npy", ".npz", ".h5", ".hdf5", ".pt", ".pth"),
        *(".pkl", ".safetensors", ".onnx", ".bval", ".bvec", ".tfm", ".lta", ".db", ".sqlite", ".exe", ".dll", ".so"),
        *(".raw", ".zraw", ".tmp", ".bak", ".part", ".md5", ".sha256"),
    }
)
#: Endings of scans that cannot be read: they are named, for nobody should miss them.
UNREAD_SUFFIXES = frozenset({".mgz", ".mgh", ".mnc", ".par", ".rec"} - {*SUFFIXES})


@dataclass
class Folder:
    """What lies directly in one folder; names are sorted.

    Attributes:
        path: The folder.
        scans: Files that end like images.
        unknown: Files that may be DICOM.
        others: How many files are certainly none of these.
    """

    path: Path
    scans: list[Path] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)
    others: int = 0


def is_there(path: Path) -> bool:
    """Says whether a file or folder is there; a name that cannot be one, because it is too long, is not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def walk(root: Path, problems: list[LeftOut]) -> Iterator[Folder]:
    """Yields every folder, the source folder first.

    Args:
        root: The source folder.
        problems: Folders that cannot be read and files that are no plain files are added.
    """
    real_root = os.path.realpath(root)
    seen: set[tuple[int, int]] = set()
    stack = [root]
    while stack:
        here = stack.pop()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(here) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            reason = f"the folder cannot be read: {error.strerror or error}"
            problems.append(LeftOut(str(here), reason, "check its rights"))
            continue
        if here != root and any(entry.name == "workspace.json" for entry in entries):
            continue
        folder, below = Folder(here), []
        headers = {entry.name.lower() for entry in entries if entry.name.lower().endswith(nifti.PAIR_SUFFIX)}
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if _is_folder(entry):
                if not (entry.is_symlink() and _lies_in(os.path.realpath(entry.path), real_root)):
                    below.append(Path(entry.path))
            elif not entry.name.lower().endswith(nifti.PAIR_VOXELS):
                _sort_in(folder, entry, problems)
            elif entry.name[: -len(nifti.PAIR_VOXELS)].lower() + nifti.PAIR_SUFFIX not in headers:
                folder.unknown.append(Path(entry.path))
        yield folder
        stack += reversed(below)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _sort_in(folder: Folder, entry: os.DirEntry[str], problems: list[LeftOut]) -> None:
    name, path = entry.name.lower(), Path(entry.path)
    if name.endswith(SUFFIXES):
        # Reading from a pipe would wait for ever.
        if _is_special(entry):
            problems.append(LeftOut(str(path), "is no plain file", "give a file, or a link to one"))
        else:
            folder.scans.append(path)
    elif path.suffix.lower() in UNREAD_SUFFIXES:
        problems.append(LeftOut(str(path), "a scan in a format that is not read", "convert it to NIfTI"))
    elif path.suffix.lower() in OTHER_SUFFIXES or name == "dicomdir" or _is_special(entry):
        folder.others += 1
    else:
        folder.unknown.append(path)


def _is_special(entry: os.DirEntry[str]) -> bool:
    if entry.is_file(follow_symlinks=False):
        return False
    try:
        return not stat.S_ISREG(entry.stat().st_mode)
    except OSError:  # a link to nowhere: whoever reads it will say so
        return False
