"""The layouts of source folders by name, how one is recognised, and the one way to list the scans of a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

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

    return (directory / NAME).is_file() and all((directory / volume.id).exists() for volume in VOLUMES)


class _Rules(Protocol):
    """What a file of a general layout holds."""

    def find(self, directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]: ...

    def recognises(self, directory: Path) -> bool: ...

    def oddities(self, directory: Path, sources: list[Source]) -> list[LeftOut]: ...


def _table() -> _Rules:
    from . import table

    return table


def _bids() -> _Rules:
    from . import bids

    return bids


def _msd() -> _Rules:
    from . import msd

    return msd


def _nnunet() -> _Rules:
    from . import nnunet

    return nnunet


def _folder() -> _Rules:
    from . import folder

    return folder


def _layout(description: str, rules: Callable[[], _Rules]) -> Layout:
    """Makes a layout whose file is loaded on first use."""
    return Layout(
        description,
        find=lambda directory, subject_pattern: rules().find(directory, subject_pattern),
        recognises=lambda directory: rules().recognises(directory),
        oddities=lambda directory, sources: rules().oddities(directory, sources),
    )


#: In the order in which they are tried: public data sets first, the general ones after them; the last one takes any.
LAYOUTS: dict[str, Layout] = {
    "sample": Layout("the sample data as `datasets fetch sample DIR` writes it", _find_sample, _is_sample),
    **DATASETS,
    "table": _layout(
        "a table (CSV, TSV, or `samples.csv` in the folder): image, label, mask, report, subject, split", _table
    ),
    "bids": _layout("BIDS: dataset_description.json, sub-*/[ses-*/]anat|ct/*.nii.gz", _bids),
    "msd": _layout("Medical Segmentation Decathlon: dataset.json with a list of images and label maps", _msd),
    "nnunet": _layout("nnU-Net: dataset.json, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz, imagesTs", _nnunet),
    "folder": _layout("any folder of scans, any depth: NIfTI, NRRD, MetaImage files, DICOM series", _folder),
}


def names() -> list[str]:
    """Returns the names of the known layouts."""
    return list(LAYOUTS)


def detect(directory: Path | str, layout: str = "auto") -> str:
    """Says which layout a source folder has; a few names are looked at and no voxel is read.

    Args:
        directory: The folder, or a table of scans.
        layout: Name of a layout, which is taken as it is; ``"auto"`` finds it out.

    Returns:
        The name of a layout.

    Raises:
        ConfigError: No layout has that name.
        InputError: There is no such folder, it is a workspace, or it has not the layout.
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise ConfigError(f"no layout called {layout}", suggest(layout, ["auto", *LAYOUTS]))
    root = Path(directory).absolute()
    _check_source(root, directory, layout)
    if layout != "auto":
        return layout
    return "table" if root.is_file() else next(name for name, known in LAYOUTS.items() if _fits(known, root))


def _fits(layout: Layout, root: Path) -> bool:
    try:
        return layout.recognises(root)
    except OSError:  # a folder that may not be looked into is not this layout's
        return False


def _check_source(root: Path, given: Path | str, layout: str) -> None:
    if not str(given).strip():  # a variable of the shell that is not set: the current folder is not meant
        raise InputError("the source folder is an empty name", "give the folder with the scans; . is the current one")
    try:
        there = root.exists()
    except OSError as error:  # a name that is too long, a circle of links
        raise InputError(f"the source folder {given} cannot be read: {error.strerror}", "check the path") from None
    if not there:
        raise InputError(f"the source folder {given} does not exist", "check the path given to --source")
    if (root / "workspace.json").is_file():
        raise InputError(f"{given} is a workspace, no folder of scans", "give the folder that its scans came from")
    if not root.is_dir() and (layout not in ("auto", "table") or not LAYOUTS["table"].recognises(root)):
        raise InputError(f"the source folder {given} is no folder", "give the folder, or a .csv or .tsv table of scans")


def find(directory: Path | str, layout: str = "auto", subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the scans of a source folder; no voxel is read.

    What a public data set says of itself stands in for what its files leave open: origin, licence, names of labels.

    Args:
        directory: The folder, or a table of scans.
        layout: Name of a layout; ``"auto"`` finds it out, see :func:`detect`.
        subject_pattern: Regular expression that is searched in the path of a scan; its first group is the subject.
            Empty: by the rule of the layout.

    Returns:
        The scans, and the files that cannot be used.

    Raises:
        ConfigError: No layout has that name, or the pattern is none.
        InputError: There is no such folder, it is a workspace, or it has not the layout.
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
