"""What is wrong with a source folder: every scan and label map is read to its end."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..records import LeftOut
from ..types import Progress, silent
from .registry import LAYOUTS, detect, find


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

    layout = detect(directory, name)
    sources, problems = find(directory, layout)
    if (oddities := LAYOUTS[layout].oddities) is not None:
        problems += oddities(Path(directory).absolute(), sources)
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
