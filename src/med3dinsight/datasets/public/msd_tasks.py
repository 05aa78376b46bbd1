"""The ten tasks of the Medical Segmentation Decathlon by name; ``dataset.json`` says the rest.

The general layout ``msd`` lists the scans; a task adds its facts: classes and counts as in the published
``dataset.json``. The folder is ``TaskNN_NAME`` or the one above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...records import LeftOut, Source
from .. import msd
from ..layout import Facts, Layout
from . import published, tree

LICENCE = "CC BY-SA 4.0"
CITATION = (
    "Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 2022, "
    "doi:10.1038/s41467-022-30695-9; Simpson et al., A large annotated medical image dataset for the development and "
    "evaluation of segmentation algorithms, arXiv 1902.09063, 2019"
)
URL = "http://medicaldecathlon.com/"


@dataclass(frozen=True)
class Task:
    """One task as published.

    Attributes:
        folder: Name of its folder.
        modality: What it was taken with, in words.
        classes: ``((label value, name), ...)``.
        train: Number of training volumes.
        note: Whom it shares with other data sets; may be empty.
    """

    folder: str
    modality: str
    classes: tuple[tuple[int, str], ...]
    train: int
    note: str = ""


TASKS = {
    "msd_brain": Task(
        "Task01_BrainTumour",
        "MR, FLAIR, T1, contrast-enhanced T1 and T2 as the four channels of a file",
        ((1, "edema"), (2, "non-enhancing tumor"), (3, "enhancing tumour")),
        484,
        "The people of BraTS 2016 and 2017, so also among those of brats.",
    ),
    "msd_heart": Task("Task02_Heart", "MR", ((1, "left atrium"),), 20),
    "msd_liver": Task("Task03_Liver", "CT", ((1, "liver"), (2, "cancer")), 131, "The people of lits."),
    "msd_hippocampus": Task("Task04_Hippocampus", "MR, T1", ((1, "Anterior"), (2, "Posterior")), 260),
    "msd_prostate": Task("Task05_Prostate", "MR, T2 and ADC as the two channels of a file", ((1, "PZ"), (2, "TZ")), 32),
    "msd_lung": Task("Task06_Lung", "CT", ((1, "cancer"),), 63),
    "msd_pancreas": Task("Task07_Pancreas", "CT", ((1, "pancreas"), (2, "cancer")), 281),
    "msd_hepaticvessel": Task("Task08_HepaticVessel", "CT", ((1, "Vessel"), (2, "Tumour")), 303),
    "msd_spleen": Task("Task09_Spleen", "CT", ((1, "spleen"),), 41),
    "msd_colon": Task("Task10_Colon", "CT", ((1, "colon cancer primaries"),), 126),
}


#: The tasks that make up ``3dseg8``.
SEGMENTATION_8 = tuple(name for name in TASKS if name not in ("msd_lung", "msd_colon"))


def task_folder(directory: Path, task: Task) -> Path | None:
    """Returns where the ``dataset.json`` of a task lies: the folder itself, one in it, or None."""
    inner = directory / task.folder
    return next((folder for folder in (directory, inner) if folder.name == task.folder and _described(folder)), None)


def is_collection(directory: Path) -> bool:
    """Says whether a folder holds more than one task of the 3DSeg-8 stand-in."""
    return sum(_described(directory / task.folder) for name, task in TASKS.items() if name in SEGMENTATION_8) > 1


def _described(folder: Path) -> bool:
    return (folder / "dataset.json").is_file()


def _layout(name: str, task: Task) -> Layout:
    title = f"MSD {task.folder}"

    def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
        # Asked for by name, a folder that was renamed will do.
        folder = task_folder(directory, task) or (directory if _described(directory) else None)
        if folder is None:
            raise tree.nothing_found(directory, title, f"{task.folder}/dataset.json, imagesTr and labelsTr")
        return msd.find(folder, subject_pattern)

    def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
        folder = task_folder(directory, task) or directory
        train = {source.image for source in sources if source.label is not None}
        rows = msd.oddities(folder, sources)
        rows += published.short_of(folder, "training volumes", len(train), task.train)
        others = [other.folder for other in TASKS.values() if other != task and _described(directory / other.folder)]
        if others:
            reason = f"{', '.join(others)} lie here too and are not in this list"
            rows.append(LeftOut(str(directory), reason, "prepare each task by its own name"))
        tables = {source.label_names for source in sources if source.label is not None}
        for table in sorted(tables):
            values = {value: name for value, name in table if value}
            if {value: name.lower() for value, name in values.items()} != {v: n.lower() for v, n in task.classes}:
                reason = f"dataset.json names the labels {values}, the published one {dict(task.classes)}"
                rows.append(LeftOut(str(folder / "dataset.json"), reason, "check which task this is"))
        return rows

    shared = "Also part of abdomenct1k. " if name in ("msd_liver", "msd_spleen", "msd_pancreas") else ""
    return Layout(
        description=f"{title}: {task.folder}/dataset.json, imagesTr, labelsTr, imagesTs",
        find=find,
        recognises=lambda directory: task_folder(directory, task) is not None and not is_collection(directory),
        oddities=oddities,
        facts=Facts(
            title=title,
            modality=task.modality,
            licence=LICENCE,
            citation=CITATION,
            url=URL,
            third_parties="allowed",
            gated=False,
            classes=task.classes,
            note=f"{task.note} {shared}".strip(),
        ),
    )


LAYOUTS = {name: _layout(name, task) for name, task in TASKS.items()}
