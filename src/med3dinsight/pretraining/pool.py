"""The pool that steps are drawn from: the crops of the people who may be seen, and what is known of their slices."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..records import Crop, SliceRef
from ..slices.emptiness import is_empty
from ..targets.on_demand import Features, FeaturesOnDemand, rows_present
from ..training.batch_memory import BatchMemory
from ..workspace.voxel_store import VoxelStore


@dataclass(frozen=True)
class Pool:
    """All crops that pre-training may draw, by subject, with the rows of their slices.

    Attributes:
        store: Voxels.
        slices: The slice table; a row number is the index in the feature arrays.
        rows: ``{subject: {crop: row numbers of its slices}}``.
        images: ``(rows, e)`` projected image features; None for methods that see no 2D features.
        texts: ``(rows, f)`` projected text features; None likewise.
    """

    store: VoxelStore
    slices: list[SliceRef]
    rows: dict[str, dict[Crop, list[int]]]
    images: Features | None = None
    texts: Features | None = None

    @cached_property
    def memory(self) -> BatchMemory:
        """Memory of the batches that are drawn."""
        return BatchMemory()

    @cached_property
    def subjects(self) -> list[str]:
        """Subjects in a fixed order."""
        return sorted(self.rows)

    @cached_property
    def crop_size(self) -> int:
        """Edge of the crops in voxels."""
        return next(iter(self.rows[self.subjects[0]])).size

    def features(self) -> tuple[Features, Features]:
        """Returns image and text features of all slices, for methods that match them; to be indexed by rows."""
        assert self.images is not None and self.texts is not None  # the method said that it needs them
        return self.images, self.texts

    def tensors(self) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n f"]]:
        """Returns the features as tensors; such as are computed on demand now are, for all rows that may be drawn."""
        images, texts = (self._tensor(side) for side in self.features())
        return images, texts

    def _tensor(self, side: Features) -> Tensor:
        if not isinstance(side, FeaturesOnDemand):
            return side
        rows = torch.tensor(self.drawn_rows)
        whole = torch.zeros(side.shape)
        whole[rows] = side[rows]
        return whole

    @cached_property
    def drawn_rows(self) -> list[int]:
        """Rows of all slices that may be drawn, in order."""
        return sorted(row for crops in self.rows.values() for rows in crops.values() for row in rows)

    def draw_crops(self, rng: np.random.Generator, count: int) -> list[Crop]:
        """Draws crops; subjects take turns in a random order, so that nobody with many crops crowds out the others.

        A crop comes again when the others of its subject have been drawn.
        """
        subjects: list[str] = []
        while len(subjects) < count:
            subjects += [self.subjects[i] for i in rng.permutation(len(self.subjects))]
        chosen, left = [], defaultdict[str, list[Crop]](list)
        for subject in subjects[:count]:
            if not left[subject]:
                crops = list(self.rows[subject])
                left[subject] = [crops[i] for i in rng.permutation(len(crops))]
            chosen.append(left[subject].pop())
        return chosen

    def draw_slices(self, rng: np.random.Generator, crops: Sequence[Crop], count: int) -> list[list[int]]:
        """Draws slices of the crops of a step; what comes twice would be its own false negative.

        Slices that the step has asked least come first, and among those the ones at whose place in the volume it has
        asked least: crops of one volume may overlap.

        Args:
            rng: Chooses among slices that have been asked alike.
            crops: As drawn; one may stand there several times.
            count: Slices of each crop.

        Returns:
            ``count`` row numbers for each crop, repeated only where the crop has fewer slices that show something.
        """
        asked, seen = Counter[int](), Counter[tuple[str, int, int]]()
        drawn = []
        for crop in crops:
            rows = [int(row) for row in rng.permutation(self.rows_of(crop))]
            places = {row: self._place(row) for row in rows}
            rows.sort(key=lambda row: (asked[row], seen[places[row]]))
            chosen = [rows[number % len(rows)] for number in range(count)]
            asked.update(chosen)
            seen.update(places[row] for row in chosen)
            drawn.append(chosen)
        return drawn

    def _place(self, row: int) -> tuple[str, int, int]:
        """Volume, plane, and index of a slice in the whole volume."""
        ref = self.slices[row]
        return ref.crop.case, int(ref.plane), ref.crop.origin[ref.plane.axis] + ref.index

    def rows_of(self, crop: Crop) -> list[int]:
        """Returns the rows of a crop's slices that show something."""
        return self.rows[self.store.cases[crop.case].subject][crop]

    def crops_of_volume(self, case: str) -> list[Crop]:
        """Returns the crops of one volume."""
        return [crop for crop in self.rows[self.store.cases[case].subject] if crop.case == case]

    def voxels(self, crop: Crop, shift: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        """Reads a crop, moved by some voxels."""
        if shift is None:
            return self.store.crop(crop)
        x, y, z = (int(o + s) for o, s in zip(crop.origin, shift, strict=True))
        return self.store.crop(Crop(crop.case, (x, y, z), crop.size))


def build_pool(
    store: VoxelStore,
    slices: list[SliceRef],
    images: Features | None,
    texts: Features | None,
    held_out: frozenset[str],
) -> Pool:
    """Groups the slices of the training subjects by crop, without empty slices and subjects held out.

    Slices whose text is NaN have none; they are left out too.

    Raises:
        InputError: No slice shows anything, or none that does has a text.
    """
    by_crop: dict[Crop, list[int]] = defaultdict(list)
    told = None if texts is None else rows_present(texts)
    for row, ref in enumerate(slices):
        if store.cases[ref.crop.case].subject not in held_out and (told is None or told[row]):
            by_crop[ref.crop].append(row)
    rows: dict[str, dict[Crop, list[int]]] = defaultdict(dict)
    for crop, members in by_crop.items():
        voxels = store.crop(crop)
        seen = [row for row in members if not is_empty(voxels, slices[row])]
        if seen:
            rows[store.cases[crop.case].subject][crop] = seen
    if told is not None and not by_crop:
        raise InputError("no slice of the training people has a text", "caption them, or hold other people out")
    if not rows:
        raise InputError("every slice of the training people is empty", "look at the prepared volumes and their window")
    return Pool(store, slices, dict(rows), images, texts)
