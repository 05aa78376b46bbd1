"""Scores of one prediction against the source label map, on the source grid, in millimetres."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WorkspaceError
from ..metrics.segmentation import METRICS, segmentation_scores
from ..records import Case
from ..types import Shape3, Vector3
from ..volumes.labels import annotated_classes, class_map
from ..volumes.orientation import canonical_affine
from ..volumes.reading import read_label
from ..volumes.volume import spacing_of
from .config import EvaluateConfig
from .finetuned import FinetunedRun

Region = tuple[slice, slice, slice]
#: ``{class: {metric: value or None}}`` of one piece.
ClassValues = dict[str, dict[str, Any]]

NOT_ANNOTATED = "the label map was not drawn for this class"
NO_CLASS = "the slab has none of the classes"
NO_LABEL = "the case has no label map"
BOTH_EMPTY = "neither truth nor prediction has this class"


@dataclass(frozen=True)
class Truth:
    """The true label map of a case on its source grid.

    Attributes:
        indices: ``(x, y, z)`` uint8 class indices in RAS+ order; 0 is background.
        annotated: For each class whether the map was drawn with it in mind.
        spacing_mm: Voxel size of the source along x, y, z.
    """

    indices: NDArray[np.uint8]
    annotated: tuple[bool, ...]
    spacing_mm: Vector3


def read_truth(case: Case, classes: Sequence[dict[str, Any]]) -> Truth:
    """Reads a case's label map and turns its values into class indices.

    Raises:
        InputError: The label map cannot be read, or is not on the grid of its image.
    """
    labels = read_label(case.label or "", case)
    present, indices = np.zeros(1 << 16, dtype=bool), np.empty(labels.shape, dtype=np.uint8)
    for plane in labels:  # by planes: an index array takes 8 bytes a voxel
        present[plane] = True
    values = np.flatnonzero(present).tolist()
    lookup = class_map(case.label_names, classes, values)
    for plane, target in zip(labels, indices, strict=True):
        target[:] = lookup[plane]
    return Truth(
        indices=indices,
        annotated=annotated_classes(case.label_names, classes, values),
        spacing_mm=spacing_of(canonical_affine(case.source_affine, case.source_shape)),
    )


def score_case(run: FinetunedRun, case: Case, truth: Truth, config: EvaluateConfig) -> dict[str, ClassValues | None]:
    """Scores a run's prediction of one case.

    Args:
        run: The fine-tuned run.
        case: The test case.
        truth: Its label map, as :func:`read_truth` gives it for the run's classes.
        config: Tolerance, and whether the case is cut into slabs.

    Returns:
        ``{piece: {class: {"dice", "hd95_mm", "nsd", "voxels_truth", "voxels_prediction"}}}``. A piece is the case, or
        ``CASE/left-0`` and so on from the feet upwards; None stands for a slab that has none of the classes, and
        a class that was not annotated has only None.

    Raises:
        WorkspaceError: The prediction is missing.
        InputError: It is damaged or on another grid.
    """
    path = run.prediction(case.id)
    if not path.exists():
        raise WorkspaceError(f"run {run.name} has no prediction of case {case.id}", "run that `finetune` again")
    predicted = read_label(path, case).astype(np.uint8)
    names = run.class_names
    drawn = {name: index for index, name in enumerate(names, start=1) if truth.annotated[index - 1]}
    unknown = dict.fromkeys((*METRICS, "voxels_truth", "voxels_prediction"))
    pieces: dict[str, ClassValues | None] = {}
    for piece, region in regions(case.id, truth, config):
        part = truth.indices[region]
        if piece != case.id and not np.isin(part, list(drawn.values())).any():
            pieces[piece] = None
            continue
        scores = segmentation_scores(predicted[region], part, truth.spacing_mm, drawn, tolerance_mm=config.tolerance_mm)
        pieces[piece] = {name: dict(scores[name]) if name in drawn else dict(unknown) for name in names}
    return pieces


def regions(case: str, truth: Truth, config: EvaluateConfig) -> Iterator[tuple[str, Region]]:
    """Names the pieces of a case: the whole volume, or halves of axial slabs, each an image of its own."""
    if config.cases == "volume":
        yield case, (slice(None), slice(None), slice(None))
        return
    for name, region in slab_regions(truth.indices.shape, truth.spacing_mm, config.slab_mm):
        yield f"{case}/{name}", region


def slab_regions(shape: Shape3, spacing_mm: Vector3, slab_mm: float) -> Iterator[tuple[str, Region]]:
    """Cuts a volume into left and right halves of equally thick axial slabs, at most ``slab_mm`` (+ 1 %) thick.

    Example:
        >>> [name for name, _ in slab_regions((10, 10, 40), (1.0, 1.0, 5.0), 96.0)]
        ['left-0', 'right-0', 'left-1', 'right-1', 'left-2', 'right-2']
    """
    count = min(shape[2], max(1, math.ceil(shape[2] * spacing_mm[2] / slab_mm - 0.01)))
    half = shape[0] // 2
    for number in range(count):
        along_z = slice(round(number * shape[2] / count), round((number + 1) * shape[2] / count))
        yield f"left-{number}", (slice(0, half), slice(None), along_z)
        yield f"right-{number}", (slice(half, None), slice(None), along_z)
