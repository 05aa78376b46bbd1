"""Puts preparing and a fine-tuned model together, for scans that are in no workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..datasets import find
from ..datasets.naming import safe_id
from ..errors import InputError
from ..finetuning.model_folder import read_model
from ..preparing.config import PrepareConfig
from ..preparing.item import prepare_source
from ..preparing.plan import make_plan
from ..records import LeftOut, Source
from ..training.precision import choose_device
from ..types import Progress, silent
from .outputs import OUTPUTS, Output


@dataclass(frozen=True)
class PredictResult:
    """What predicting tells: how many scans were predicted, and which ones could not be used."""

    predicted: int
    left_out: tuple[LeftOut, ...]


def predict(
    model: Path, source: Path, output: Path, device: str = "auto", progress: Progress = silent
) -> PredictResult:
    """Predicts every scan; scans, and the channels of 4D files, are prepared as the model's training scans were.

    A model that segments writes ``OUTPUT/SCAN.nii.gz`` for each scan, class indices on the scan's own grid, and
    ``OUTPUT/classes.json`` with the names of the indices. One that classifies writes OUTPUT, a CSV file with the
    columns ``image``, ``probability_CLASS`` for each class, and ``predicted``.

    Args:
        model: A folder that ``finetune`` left.
        source: A scan, the folder of a DICOM series, a folder of scans in any layout, or a table of them.
        output: Folder for the label maps, or the CSV file.
        device: auto, cpu, cuda or cuda:N.
        progress: Told about every scan.

    Raises:
        InputError: The model or the input cannot be used, no scan could be, or one would be overwritten.
        ConfigError: There is no such device.
    """
    chosen = choose_device(device)
    network, facts = read_model(model)
    network = network.to(chosen)
    written = OUTPUTS[facts["task"]](network, facts, output, chosen)
    settings = PrepareConfig(**{**facts["prepare"], "source": str(source)})
    found, problems = _scans(source)
    scans = make_plan(settings, found, None).sources
    _refuse_overwriting(scans, written)
    done = 0
    for number, scan in enumerate(scans, start=1):
        try:
            written.add(scan, prepare_source(scan, settings))
        except InputError as error:
            problems.append(LeftOut(scan.image, error.message, error.hint))
        else:
            done += 1
        progress(number, len(scans), scan.id)
    if not done:
        first = (
            problems[0] if problems else LeftOut(str(source), "no scan was found", "give a scan or a folder of them")
        )
        raise InputError(f"nothing was predicted; {first.file}: {first.reason}", first.hint)
    written.finish()
    return PredictResult(done, tuple(problems))


def _refuse_overwriting(scans: Sequence[Source], written: Output) -> None:
    for scan in scans:
        if written.target(scan).resolve() == Path(scan.image).resolve():
            raise InputError(f"the prediction would overwrite the scan {scan.image}", "give another name for OUTPUT")


def _scans(source: Path) -> tuple[list[Source], list[LeftOut]]:
    if source.is_file() and source.suffix.lower() not in (".csv", ".tsv"):
        name = safe_id(source.name)
        return [Source(name, name, str(source))], []
    sources, problems = find(str(source), "auto", "")
    return [replace(scan, label=None, label_names=()) for scan in sources], problems
