"""The layouts of source folders by name, how one is recognised, and the one way to list the scans of a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import ConfigError, InputError, suggest
from ..records import LeftOut, Source
from .layout import Layout
from .public import DATASETS


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


#: In the order in which they are tried: public data sets first, the general ones after them; the last one takes any.
LAYOUTS: dict[str, Layout] = {
    "sample": Layout("the sample data as `datasets fetch sample DIR` writes it", _find_sample, _is_sample),
    **DATASETS,
    "folder": Layout("any folder of NIfTI, NRRD, MHA files or DICOM series", _find_folder, lambda directory: True),
}


def names() -> list[str]:
    """Returns the names of the known layouts."""
    return list(LAYOUTS)


def detect(directory: Path | str, layout: str = "auto") -> str:
    """Says which layout a source folder has; a few names are looked at and no voxel is read.

    Args:
        directory: The folder.
        layout: Name of a layout, which is taken as it is; ``"auto"`` finds it out.

    Returns:
        The name of a layout.

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
    return layout if layout != "auto" else next(name for name, known in LAYOUTS.items() if known.recognises(root))


def find(directory: Path | str, layout: str = "auto", subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the scans of a source folder; no voxel is read.

    What a public data set says of itself stands in for what its files leave open: origin, licence, names of labels.

    Args:
        directory: The folder.
        layout: Name of a layout; ``"auto"`` finds it out, see :func:`detect`.
        subject_pattern: Regular expression that is searched in the path of a scan; its first group is the subject.
            Empty: by the rule of the layout.

    Returns:
        The scans, and the files that cannot be used.

    Raises:
        ConfigError: No layout has that name, or the pattern is none.
        InputError: There is no such folder.
    """
    known = LAYOUTS[detect(directory, layout)]
    sources, problems = known.find(Path(directory).absolute(), subject_pattern)
    if (facts := known.facts) is None:
        return sources, problems
    told = [
        replace(
            source,
            origin=source.origin or facts.title,
            licence=source.licence or facts.licence,
            label_names=source.label_names or (facts.classes if source.label is not None else ()),
        )
        for source in sources
    ]
    return told, problems
