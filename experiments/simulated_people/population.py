"""The people of all experiments here: the sample scans, and SIMULATED copies of the two that are tested, in workspaces.

One workspace a fold, since the projections of the 2D features are fitted without the people held out. All simulated
people are held out of everything in both folds: they are only ever tested on, on the side of their source.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
from experiments.simulated_people.simulate import simulate

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.run import run as caption
from med3dinsight.datasets.archives import cache_folder
from med3dinsight.datasets.sample import fetch_sample
from med3dinsight.features.config import EmbedConfig
from med3dinsight.features.run import run as embed
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.run import run as prepare
from med3dinsight.records import Case
from med3dinsight.volumes.labels import write_label_names
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_store import VoxelStore, read_manifest

#: Fold = the labelled person that is tested; the other labelled people train.
FOLDS = {
    "chest": ("chest_ct", ("abdomen_ct", "dicom_ct")),
    "abdomen": ("abdomen_ct", ("chest_ct", "dicom_ct")),
}
SPACING_MM = 3.0
CAPTIONERS = ("tissue", "shuffled", "template")
_COLUMNS = ("id", "subject", "modality", "image", "label", "origin", "licence")
CROPS_PER_VOLUME = 30
SIMULATED = 12
ORIGIN = "SIMULATED: {} under a random diffeomorphism, with other contrast and noise; no person of its own."


def simulated_names(fold: str, count: int) -> list[str]:
    """Subjects that were made from a fold's test person."""
    return [f"sim-{FOLDS[fold][0]}-{number:02d}" for number in range(1, count + 1)]


def held_out(fold: str, count: int) -> tuple[str, ...]:
    """Everybody whom nothing of a fold may see: its test person, and all simulated people."""
    return (FOLDS[fold][0], *(name for other in FOLDS for name in simulated_names(other, count)))


def fold_workspace(work: Path, fold: str) -> Workspace:
    """The finished workspace of a fold."""
    return Workspace(work / f"fold-{fold}")


def build_population(work: Path, *, simulated: int = SIMULATED, crops: int = CROPS_PER_VOLUME) -> dict[str, object]:
    """Prepares, captions and embeds everybody, once; resumable. Returns what was made."""
    real = Workspace(work / "real", create=not (work / "real" / "workspace.json").exists())
    fetch_sample(cache_folder() / "sample")
    settings = {"protocol": "native", "spacing_mm": SPACING_MM}
    prepare(PrepareConfig(source=str(cache_folder() / "sample"), **settings), real)
    jacobians = write_simulated(real, work / "source", simulated)
    shared = Workspace(work / "everybody", create=not (work / "everybody" / "workspace.json").exists())
    prepare(PrepareConfig(source=str(work / "source"), **settings), shared)
    for name in CAPTIONERS:
        caption(CaptionConfig(captioner=name, crops_per_volume=crops), shared)
    retrieval = {}
    for fold in FOLDS:
        _embed_all(shared, fold, simulated)
        target = work / f"fold-{fold}"
        if not target.exists():
            part = work / f"fold-{fold}.part"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(shared.root, part)
            part.rename(target)
        retrieval[fold] = _embed_all(Workspace(target), fold, simulated)
    return {"smallest_jacobian": min(jacobians.values()), "retrieval": retrieval, "cases": len(_cases(shared))}


def _cases(workspace: Workspace) -> list[str]:
    return [case.id for case in read_manifest(workspace.prepared)]


def _embed_all(workspace: Workspace, fold: str, simulated: int) -> dict[str, float]:
    away = held_out(fold, simulated)
    return {
        name: embed(EmbedConfig(captioner=name, held_out=away, threads=1), workspace).retrieval_after
        for name in CAPTIONERS
    }


def write_simulated(real: Workspace, folder: Path, count: int) -> dict[str, float]:
    """Writes the simulated people and a table of everybody; returns each one's smallest Jacobian determinant."""
    store = VoxelStore(real.prepared)
    known = folder / "jacobians.json"
    smallest: dict[str, float] = json.loads(known.read_text()) if known.exists() else {}
    rows = []
    for fold, (person, _) in FOLDS.items():
        case = next(case for case in store.cases.values() if case.subject == person)
        low, high = case.window
        for number, name in enumerate(simulated_names(fold, count), start=1):
            place = folder / name
            if name not in smallest:
                hu = np.asarray(store.volume(case.id), dtype=np.float32) / 255 * (high - low) + low
                rng = np.random.default_rng([number, *person.encode()])
                scan, label, smallest[name] = simulate(rng, hu, np.asarray(store.label(case.id)), SPACING_MM)
                place.mkdir(parents=True, exist_ok=True)
                write_nifti(place / "image.nii.gz", scan, np.array(case.affine))
                write_nifti(place / "label.nii.gz", label, np.array(case.affine))
                (place / "label.json").write_bytes(write_label_names(dict(case.label_names)))
                known.write_text(json.dumps(smallest, indent=1))
            rows.append([name, name, "ct", f"{name}/image.nii.gz", f"{name}/label.nii.gz", ORIGIN.format(person), ""])
    _write_table(folder, store, rows)
    return smallest


def _write_table(folder: Path, store: VoxelStore, rows: list[list[str]]) -> None:
    """Lists the real people, whose files stay where they are, and the simulated ones."""
    real = [
        [case.id, case.subject, case.modality, *_paths(case, folder), case.origin, case.licence]
        for case in store.cases.values()
    ]
    with (folder / "samples.csv").open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerows([_COLUMNS, *real, *rows])


def _paths(case: Case, folder: Path) -> list[str]:
    return ["" if path is None else os.path.relpath(path, folder) for path in (case.image, case.label)]
