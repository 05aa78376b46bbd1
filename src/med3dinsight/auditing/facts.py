"""What is known of a slice without looking at any text: its header, and its label map where there is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..records import Case, SliceRef
from ..slices.outline import Outline, find_outline
from ..types import Shape3
from ..workspace.voxel_store import VoxelStore
from .vocabulary import term_of_label

#: Share of the body's width on either side of its midline where no side is judged.
MIDLINE_SHARE = 0.1
#: An organ whose label names no side is on a side where this share of it is.
_SIDE_SHARE = 0.2


@dataclass(frozen=True)
class SliceFacts:
    """What is true of a slice.

    Attributes:
        plane: "axial", "coronal" or "sagittal".
        modality: "ct" or "mr".
        sides: The patient's sides in view; both where the slice is near the midline.
        labelled: Organs that the label map of the case can tell; empty where there is none.
        organs: ``{organ: sides it is seen on}`` of those that are in the slice.
        areas_cm2: How much of each is in the slice.
    """

    plane: str
    modality: str
    sides: frozenset[str]
    labelled: frozenset[str]
    organs: dict[str, frozenset[str]]
    areas_cm2: dict[str, float]


class FactReader:
    """Reads the facts of slices; asking for slices of one volume after another is fastest.

    Args:
        store: The prepared volumes.

    Attributes:
        terms_of_cases: ``{case: {label value: (organ, side)}}``; empty where a case has no label map with names.
    """

    def __init__(self, store: VoxelStore) -> None:
        self._store = store
        self._outline: tuple[str, Outline] | None = None
        self.terms_of_cases = {name: _terms(case) for name, case in store.cases.items()}

    @property
    def label_terms(self) -> frozenset[str]:
        """All organs that any label map can tell."""
        return frozenset(term for terms in self.terms_of_cases.values() for term, _ in terms.values())

    def facts(self, ref: SliceRef) -> SliceFacts:
        """Returns what is known of a slice."""
        case = self._store.cases[ref.crop.case]
        axis = ref.plane.axis
        origin, extent = list(ref.crop.origin), [ref.crop.size] * 3
        origin[axis], extent[axis] = origin[axis] + ref.index, 1
        outline = self._outline_of(case)
        middle = (outline.low[0] + outline.high[0]) / 2
        margin = MIDLINE_SHARE * (outline.high[0] - outline.low[0])
        first, end = max(origin[0], 0), min(origin[0] + extent[0], case.shape[0])
        sides = {"right": end > middle - margin, "left": first < middle + margin}
        terms = self.terms_of_cases[case.id]
        organs: dict[str, frozenset[str]] = {}
        areas: dict[str, float] = {}
        if terms:
            corner: Shape3 = (origin[0], origin[1], origin[2])
            labels = self._store.label_box(case.id, corner, (extent[0], extent[1], extent[2]))
            across, down = (other for other in range(3) if other != axis)
            pixel_cm2 = case.spacing_mm[across] * case.spacing_mm[down] / 100
            organs, areas = _seen(labels, terms, middle - origin[0], pixel_cm2)
        return SliceFacts(
            ref.plane.name.lower(),
            case.modality,
            frozenset(side for side, seen in sides.items() if seen),
            frozenset(term for term, _ in terms.values()),
            organs,
            areas,
        )

    def _outline_of(self, case: Case) -> Outline:
        if self._outline is None or self._outline[0] != case.id:
            self._outline = (case.id, find_outline(self._store.volume(case.id), case))
        return self._outline[1]


def _terms(case: Case) -> dict[int, tuple[str, str]]:
    if not case.has_label:
        return {}
    named = {value: term_of_label(name) for value, name in case.label_names if value}
    return {value: term for value, term in named.items() if term[0]}


def _seen(
    labels: NDArray[np.uint16], terms: dict[int, tuple[str, str]], middle: float, pixel_cm2: float
) -> tuple[dict[str, frozenset[str]], dict[str, float]]:
    organs: dict[str, frozenset[str]] = {}
    areas: dict[str, float] = {}
    counts = np.bincount(labels.ravel())
    for value in map(int, np.flatnonzero(counts)):
        if value not in terms:
            continue
        term, side = terms[value]
        sides = frozenset({side})
        if not side:
            columns = (labels == value).sum(axis=(1, 2))
            right = float(columns[np.arange(len(columns)) + 0.5 > middle].sum() / counts[value])
            shares = {"right": right, "left": 1 - right}
            sides = frozenset(name for name, share in shares.items() if share >= _SIDE_SHARE)
        organs[term] = organs.get(term, frozenset()) | sides
        areas[term] = areas.get(term, 0.0) + float(counts[value]) * pixel_cm2
    return organs, areas
