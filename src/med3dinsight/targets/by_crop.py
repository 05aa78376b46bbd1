"""Raw features of slices, computed when they are asked for: crop by crop, so that the order of asking changes nothing.

The last bits of a network's answers may depend on what else is in the batch. So what is computed together is fixed by
the slice table alone: all pictures of a crop, all texts that occur first in it. Two runs that share a workspace may
compute the same crop at the same time; both then go on with what the memo took first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import WorkspaceError
from ..records import Crop, SliceRef
from ..towers.tower import TowerPair
from ..workspace.feature_memo import FeatureMemo, content_key
from ..workspace.voxel_store import VoxelStore
from .pictures import picture_features, picture_of, slice_key


class CropFeatures:
    """Features of the slices and texts of a table.

    Args:
        folder: The workspace's ``features`` folder, where the memo is.
        identity: Of the towers.
        load: Loads the towers; called when something is missing, and once.
        store: Voxels.
        slices: The slice table.
        texts: The text of each slice, None where it has none.
    """

    def __init__(
        self,
        folder: Path,
        identity: str,
        load: Callable[[], TowerPair],
        store: VoxelStore,
        slices: Sequence[SliceRef],
        texts: Sequence[str | None],
    ) -> None:
        self._folder, self._identity, self._load = folder, identity, load
        self._store, self._slices, self._texts = store, slices, texts
        self.rows: dict[Crop, list[int]] = {}
        for row, ref in enumerate(slices):
            self.rows.setdefault(ref.crop, []).append(row)

    @cached_property
    def _towers(self) -> TowerPair:
        towers = self._load()
        if towers.identity != self._identity:
            raise WorkspaceError(
                "the towers are not those that the projections were fitted with", "run `med3dinsight embed` again"
            )
        return towers

    @cached_property
    def _first_seen(self) -> dict[str, Crop]:
        """The crop in which each text occurs first."""
        first: dict[str, Crop] = {}
        for ref, text in zip(self._slices, self._texts, strict=True):
            if text is not None:
                first.setdefault(text, ref.crop)
        return first

    @cached_property
    def _own_texts(self) -> dict[Crop, list[str]]:
        """The texts that occur first in each crop, in order."""
        own: dict[Crop, list[str]] = {}
        for text, crop in self._first_seen.items():
            own.setdefault(crop, []).append(text)
        return own

    def images(self, crop: Crop) -> NDArray[np.float16]:
        """Returns the image features of all slices of a crop, ``(n, d)`` in the order of the table.

        Raises:
            WorkspaceError: Some are missing, and the towers are no longer the same.
        """
        slices = [self._slices[row] for row in self.rows[crop]]
        keys = [slice_key(self._store, ref) for ref in slices]
        with FeatureMemo(self._folder, self._identity) as memo:
            shown = memo.pictures_of(keys)
            found = memo.find("image", set(shown.values()))
            if any(shown.get(key) not in found for key in keys):
                self._compute(memo, slices, keys)
                shown = memo.pictures_of(keys)
                found = memo.find("image", set(shown.values()))
        return np.stack([found[shown[key]] for key in keys])

    def _compute(self, memo: FeatureMemo, slices: list[SliceRef], keys: list[bytes]) -> None:
        pictures = {key: picture_of(self._store, ref) for key, ref in zip(keys, slices, strict=True)}
        # Padding is the same everywhere: it is computed once, by itself.
        for ref, key in zip(slices, keys, strict=True):
            if not pictures[key].any():
                picture_features(self._towers, self._store, memo, [ref])
                del pictures[key]
        if pictures:
            computed = self._towers.embed_images(list(pictures.values())).astype(np.float16)
            memo.add("image", dict(zip(pictures, computed, strict=True)), {key: key for key in pictures})

    def texts(self, crop: Crop, width: int) -> NDArray[np.float16]:
        """Returns the text features of all slices of a crop, ``(n, f)``; NaN where a slice has no text.

        Args:
            crop: Of the table.
            width: Of the features.

        Raises:
            WorkspaceError: Some are missing, and the towers are no longer the same.
        """
        texts = [self._texts[row] for row in self.rows[crop]]
        told = {text: content_key(text.encode()) for text in texts if text is not None}
        with FeatureMemo(self._folder, self._identity) as memo:
            found = memo.find("text", told.values())
            missing = [text for text, key in told.items() if key not in found]
            for source in dict.fromkeys(self._first_seen[text] for text in missing):
                own = self._own_texts[source]
                computed = self._towers.embed_texts(own).astype(np.float16)
                memo.add("text", {content_key(text.encode()): row for text, row in zip(own, computed, strict=True)})
            if missing:
                found = memo.find("text", told.values())
        nothing = np.full(width, np.nan, dtype=np.float16)
        return np.stack([nothing if text is None else found[told[text]] for text in texts])
