"""Slices of test cases with the true label map and each arm's, on the grid of the source file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...records import Case
from ...slices.pixels import displayed
from ...types import Plane, Vector3
from ...volumes.labels import class_map
from ...volumes.orientation import canonical_affine
from ...volumes.reading import read_label, read_volume
from ...volumes.volume import spacing_of
from ..config import ReportConfig
from ..inputs import Inputs, Run
from ..pictures import MARKS, Picture, css_colour, display_size, jpeg_uri, painted, windowed
from ..wording import percent

_AXIAL_SLICES = 3
_WIDTH, _TALLEST = 320, 340
#: Sharper than the page's pixels, for screens with fine ones.
_SHARPNESS = 1.5
TRUTH = "truth"
Place = tuple[Plane, int]


@dataclass(frozen=True)
class Column:
    """A picture under the name of whose label map it shows."""

    name: str
    picture: Picture


@dataclass(frozen=True)
class OverlayRow:
    """One slice, once for the truth and once for every arm."""

    place: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class CaseOverlay:
    """The slices of one case, or the reason why there are none."""

    case: str
    rows: tuple[OverlayRow, ...]
    problem: str = ""


@dataclass(frozen=True)
class OverlaySection:
    """The cases, the classes with their colours, and which seed's predictions are shown."""

    cases: tuple[CaseOverlay, ...]
    legend: tuple[tuple[str, str], ...]
    seed: int


def overlay_section(inputs: Inputs, config: ReportConfig) -> OverlaySection | None:
    """Draws slices of as many test cases as asked for; None where there is no prediction to show."""
    runs = _shown_runs(inputs)
    labelled = {case.id: case for case in inputs.cases if case.has_label and case.label}
    tested = dict.fromkeys(name for run in runs for name in run.facts["test_cases"])
    names = [name for name in tested if name in labelled]
    if not runs or not names[: config.overlay_cases]:
        return None
    classes = [item["name"] for item in runs[0].facts["classes"]]
    return OverlaySection(
        cases=tuple(_draw_case(labelled[name], runs) for name in names[: config.overlay_cases]),
        legend=tuple((name, css_colour(index)) for index, name in enumerate(classes, start=1)),
        seed=int(runs[0].facts["seed"]),
    )


def _shown_runs(inputs: Inputs) -> list[Run]:
    """Returns one run an arm, of the lowest seed that all arms have, with the classes of the first."""
    runs = [run for run in inputs.finetuning if run.facts["classes"] == inputs.finetuning[0].facts["classes"]]
    seeds: dict[str, set[int]] = {}
    for run in runs:
        seeds.setdefault(run.facts["arm"], set()).add(run.facts["seed"])
    shared = set.intersection(*seeds.values()) if seeds else set()
    return [run for run in runs if shared and run.facts["seed"] == min(shared)]


def _draw_case(case: Case, runs: list[Run]) -> CaseOverlay:
    try:
        truth = _true_classes(case, runs[0])
        places = choose_places(truth)
        spacing = spacing_of(canonical_affine(case.source_affine, case.source_shape))
        maps = {TRUTH: [_slice(truth, place) for place in places]}
        del truth
        for run in runs:
            path = run.folder / "predictions" / f"{case.id}.nii.gz"
            if path.exists():
                # A copy of the slices, so that the volume can go before the next one comes.
                predicted = read_label(path, case)
                maps[run.facts["arm"]] = [_slice(predicted, place).astype(np.uint8) for place in places]
        image = read_volume(case.image, case.series, case.channel).array
        greys = [windowed(_slice(image, place), case.modality, case.window) for place in places]
    except InputError:
        return CaseOverlay(case.id, (), "its source files cannot be read any more, so nothing could be drawn")
    rows = tuple(
        _row(case, place, image.shape, grey, {name: slices[number] for name, slices in maps.items()}, spacing)
        for number, (place, grey) in enumerate(zip(places, greys, strict=True))
    )
    return CaseOverlay(case.id, rows, "" if rows else "its label map has none of the classes")


def _true_classes(case: Case, run: Run) -> NDArray[np.uint8]:
    labels = read_label(case.label or "", case)
    lookup = class_map(case.label_names, run.facts["classes"])
    classes = np.empty(labels.shape, dtype=np.uint8)
    for plane, target in zip(labels, classes, strict=True):  # by planes: an index array takes 8 bytes a voxel
        target[:] = lookup[plane]
    return classes


def choose_places(truth: NDArray[np.uint8]) -> list[Place]:
    """Chooses slices by the true label map alone, so that no arm is favoured.

    The labelled part is cut into thirds from foot to head; in each the axial slice with the most classes is taken,
    among equals the one nearest to the middle of the third. Of the coronal slices it is the one with the most
    classes, among equals that with the most labelled voxels.

    Args:
        truth: ``(x, y, z)`` class indices.

    Returns:
        ``(plane, index)`` from head to foot, then the coronal one; empty where there is no class.
    """
    areas = _areas(truth, Plane.AXIAL)
    filled = np.flatnonzero(areas.any(axis=0))
    if not len(filled):
        return []
    chosen = []
    for part in np.array_split(np.arange(filled[0], filled[-1] + 1), _AXIAL_SLICES):
        if len(part) and areas[:, part].any():
            off_middle = np.abs(part - part.mean()) / len(part)
            chosen.append((Plane.AXIAL, int(part[((areas[:, part] > 0).sum(axis=0) - off_middle).argmax()])))
    areas = _areas(truth, Plane.CORONAL)
    coronal = ((areas > 0).sum(axis=0) + areas.sum(axis=0) / (truth.size + 1.0)).argmax()
    return [*reversed(chosen), (Plane.CORONAL, int(coronal))]


def _areas(truth: NDArray[np.uint8], plane: Plane) -> NDArray[np.int64]:
    """Voxels of each class in each slice, ``(classes, slices)``."""
    others = tuple(axis for axis in range(3) if axis != plane.axis)
    return np.stack([(truth == index).sum(axis=others) for index in range(1, max(2, int(truth.max()) + 1))])


def _slice(volume: NDArray[Any], place: Place) -> NDArray[Any]:
    plane, index = place
    # Cut thin first: taking from a volume that is stored in another order copies all of it.
    thin = volume[tuple(slice(index, index + 1) if axis == plane.axis else slice(None) for axis in range(3))]
    return displayed(thin, plane, 0)


def _row(
    case: Case,
    place: Place,
    shape: tuple[int, ...],
    grey: NDArray[np.uint8],
    maps: dict[str, NDArray[np.uint8]],
    spacing: Vector3,
) -> OverlayRow:
    plane, index = place
    across, down = (axis for axis in range(3) if axis != plane.axis)
    width, height = display_size(grey.shape, (spacing[down], spacing[across]), _WIDTH, _TALLEST)
    size = round(width * _SHARPNESS), round(height * _SHARPNESS)
    low, high = {Plane.AXIAL: ("foot", "head end"), Plane.CORONAL: ("back", "front")}[plane]
    words = f"{plane.name.lower()}, {percent((index + 0.5) / shape[plane.axis])} of the way from {low} to {high}"
    columns = []
    for name, classes in maps.items():
        alt = f"{case.id}, {words}: label map of {name}"
        columns.append(Column(name, Picture(jpeg_uri(painted(grey, classes, size)), alt, width, height, MARKS[plane])))
    return OverlayRow(words, tuple(columns))
