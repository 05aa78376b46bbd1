"""Puts preparing and a fine-tuned model together, for scans that are in no workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..datasets import find
from ..datasets.table import safe_id
from ..errors import InputError
from ..finetuning.inference import predict_scores
from ..finetuning.model_folder import read_model
from ..preparing.config import PrepareConfig
from ..preparing.item import prepare_source
from ..records import LeftOut, Source
from ..training.precision import choose_device
from ..types import Progress, silent
from ..volumes.nifti import write_nifti
from ..volumes.restoring import labels_on_source_grid
from ..workspace.files import write_json


@dataclass(frozen=True)
class PredictResult:
    """What predicting tells: how many label maps were written, and which scans could not be used."""

    predicted: int
    left_out: tuple[LeftOut, ...]


def predict(
    model: Path, source: Path, output: Path, device: str = "auto", progress: Progress = silent
) -> PredictResult:
    """Writes ``OUTPUT/SCAN.nii.gz`` for every scan: class indices on the scan's own grid.

    Scans are prepared as the model's training scans were. ``OUTPUT/classes.json`` names the indices.

    Args:
        model: A folder that ``finetune`` left.
        source: A scan, the folder of a DICOM series, or a folder of scans.
        output: Folder for the label maps.
        device: auto, cpu, cuda or cuda:N.
        progress: Told about every scan.

    Raises:
        InputError: The model or the input cannot be used, no scan could be, or one would be overwritten.
        ConfigError: There is no such device.
    """
    chosen = choose_device(device)
    network, facts = read_model(model)
    network = network.to(chosen)
    scans, problems = _scans(source)
    _refuse_overwriting(scans, output)
    settings = PrepareConfig(**{**facts["prepare"], "source": str(source)})
    done = 0
    for number, scan in enumerate(scans, start=1):
        try:
            prepared = prepare_source(scan, settings)
        except InputError as error:
            problems.append(LeftOut(scan.image, error.message, error.hint))
        else:
            scores = predict_scores(network, prepared.voxels, facts["patch_size"], facts["overlap"], chosen)
            labels = labels_on_source_grid(prepared.case, scores)
            write_nifti(_target(output, scan), labels, np.array(prepared.case.source_affine))
            done += 1
        progress(number, len(scans), scan.id)
    if not done:
        first = (
            problems[0] if problems else LeftOut(str(source), "no scan was found", "give a scan or a folder of them")
        )
        raise InputError(f"nothing was predicted; {first.file}: {first.reason}", first.hint)
    names = {str(index): entry["name"] for index, entry in enumerate(facts["classes"], start=1)}
    write_json(output / "classes.json", {"0": "background", **names})
    return PredictResult(done, tuple(problems))


def _target(output: Path, scan: Source) -> Path:
    return output / f"{scan.id}.nii.gz"


def _refuse_overwriting(scans: list[Source], output: Path) -> None:
    for scan in scans:
        if _target(output, scan).resolve() == Path(scan.image).resolve():
            raise InputError(f"the prediction would overwrite the scan {scan.image}", "give another folder for OUTPUT")


def _scans(source: Path) -> tuple[list[Source], list[LeftOut]]:
    if source.is_file():
        name = safe_id(source.name)
        return [Source(name, name, str(source))], []
    sources, problems = find(str(source), "auto", "")
    return [Source(s.id, s.subject, s.image, modality=s.modality) for s in sources], list(problems)
