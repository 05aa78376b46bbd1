"""The layouts of source folders by name, how one is recognised, and what is wrong with a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError, InputError, suggest
from ..records import LeftOut, Source
from ..types import Progress, silent

#: Takes a folder and a subject pattern; returns the scans and the files that cannot be used.
Finder = Callable[[Path, str], tuple[list[Source], list[LeftOut]]]


@dataclass(frozen=True)
class Layout:
    """How the files of a source folder are arranged.

    Attributes:
        description: One line for the list of layouts.
        find: Lists the scans.
        recognises: Says whether a folder has this layout.
    """

    description: str
    find: Finder
    recognises: Callable[[Path], bool]


def _find_sample(directory: Path, subject_pattern: str) -> tuple[list[Source], list[LeftOut]]:
    from .sample import find

    return find(directory)


def _is_sample(directory: Path) -> bool:
    from .sample import VOLUMES
    from .table import NAME

    return (directory / NAME).exists() and all((directory / volume.id).exists() for volume in VOLUMES)


def _find_folder(directory: Path, subject_pattern: str) -> tuple[list[Source], list[LeftOut]]:
    from .folder import find

    return find(directory, subject_pattern)


#: In the order in which they are tried; the last one takes any folder.
LAYOUTS: dict[str, Layout] = {
    "sample": Layout("the sample data as `datasets fetch sample DIR` writes it", _find_sample, _is_sample),
    "folder": Layout("any folder of NIfTI, NRRD, MHA files or DICOM series", _find_folder, lambda directory: True),
}


def names() -> list[str]:
    """Returns the names of the known layouts."""
    return list(LAYOUTS)


def find(directory: Path | str, layout: str = "auto", subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the scans of a source folder; no voxel is read.

    Args:
        directory: The folder.
        layout: Name of a layout; ``"auto"`` recognises it.
        subject_pattern: See :func:`med3dinsight.datasets.folder.find`.

    Returns:
        The scans, and the files that cannot be used.

    Raises:
        ConfigError: No layout has that name.
        InputError: There is no such folder.
    """
    root = Path(directory).absolute()
    if layout != "auto" and layout not in LAYOUTS:
        raise ConfigError(f"no layout called {layout}", suggest(layout, ["auto", *LAYOUTS]))
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise InputError(f"the source folder {directory} {what}", "check the path given to --source")
    name = layout if layout != "auto" else next(key for key, value in LAYOUTS.items() if value.recognises(root))
    return LAYOUTS[name].find(root, subject_pattern)


def check(name: str, directory: Path | str, progress: Progress = silent) -> list[LeftOut]:
    """Reads every scan and label map of a folder to its end and says what is wrong with them.

    Args:
        name: Name of a layout, or ``"auto"``.
        directory: The folder.
        progress: Told about every scan.

    Returns:
        One entry a problem; empty where all is well.

    Raises:
        ConfigError: No layout has that name.
        InputError: There is no such folder.
    """
    from ..volumes.reading import read_label, read_volume

    sources, problems = find(directory, name)
    if not sources and not problems:
        problems.append(LeftOut(str(directory), "no scan was found", "give a folder of NIfTI, NRRD, MHA or DICOM"))
    for done, source in enumerate(sources, start=1):
        file = source.image
        try:
            volume = read_volume(source.image)
            if source.label is not None:
                file = source.label
                read_label(source.label, volume)
        except InputError as error:
            problems.append(LeftOut(file, error.message, error.hint))
        progress(done, len(sources), source.id)
    return problems
