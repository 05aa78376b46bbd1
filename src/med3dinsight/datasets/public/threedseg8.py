"""``3dseg8``: eight tasks of the Medical Segmentation Decathlon together, unlabelled, for pre-training.

A stand-in for the 3DSeg-8 collection of Med3D, of which no archive could be found: tasks 1 (brain), 2 (heart),
3 (liver), 4 (hippocampus), 5 (prostate), 7 (pancreas), 8 (hepatic vessel) and 9 (spleen), 1,552 training volumes. The
folder holds the task folders as downloaded. Label maps and the test part are left aside; channels of 4D files are scans
of one person.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...records import LeftOut, Source
from .. import msd
from ..layout import Facts, Layout
from . import published, tree
from .msd_tasks import CITATION, LICENCE, SEGMENTATION_8, TASKS, URL, is_collection, task_folder

MEMBERS = {name: TASKS[name] for name in SEGMENTATION_8}
NUM_VOLUMES = sum(task.train for task in MEMBERS.values())
_TITLE = "3DSeg-8 stand-in (eight MSD tasks)"


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the training volumes of the tasks that are there, without their label maps."""
    sources: list[Source] = []
    problems: list[LeftOut] = []
    for task in MEMBERS.values():
        if (folder := task_folder(directory, task)) is not None:
            scans, odd = msd.find(folder, subject_pattern)
            sources += [replace(scan, label=None, label_names=(), split="") for scan in scans if scan.split != "test"]
            problems += odd
    if not sources and not problems:
        raise tree.nothing_found(directory, _TITLE, "Task01_BrainTumour/imagesTr/BRATS_001.nii.gz")
    return sources, problems


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells which tasks are missing, and how many volumes of the others."""
    rows: list[LeftOut] = []
    for task in MEMBERS.values():
        folder = directory / task.folder
        there = len({source.image for source in sources if Path(source.image).is_relative_to(folder)})
        rows += published.short_of(folder, f"training volumes of {task.folder}", there, task.train)
    return rows


LAYOUT = Layout(
    description="3DSeg-8 stand-in: a folder with Task01_BrainTumour, Task02_Heart, 03, 04, 05, 07, 08, Task09_Spleen",
    find=find,
    recognises=is_collection,
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="CT and MR",
        licence=LICENCE,
        citation=CITATION,
        url=URL,
        third_parties="allowed",
        gated=False,
        classes=(),
        note="Holds the people of lits (task 3) and of BraTS 2016 and 2017 (task 1), and shares tasks 3, 7 and 9 with "
        "abdomenct1k: weights pre-trained on it have seen them.",
    ),
)
