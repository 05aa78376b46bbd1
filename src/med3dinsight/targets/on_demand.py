"""Projected features of a slice table, one side, that are computed when rows are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from ..records import Crop, SliceRef
from ..towers.projection import Projection


class FeaturesOnDemand:
    """Answers indexing by rows like the ``(n, e)`` tensor of all features.

    Args:
        projection: From raw features to targets.
        slices: The slice table.
        rows: ``{crop: rows of its slices}``, every row once.
        raw: Returns the raw features of a crop's slices.
        present: ``(n,)`` bool, False for rows without a feature.
    """

    def __init__(
        self,
        projection: Projection,
        slices: Sequence[SliceRef],
        rows: Mapping[Crop, Sequence[int]],
        raw: Callable[[Crop], NDArray[np.float16]],
        present: NDArray[np.bool_],
    ) -> None:
        self._projection, self._slices, self._rows, self._raw = projection, slices, rows, raw
        self.present = present
        # Zeros take no memory before they are written.
        self._values = torch.zeros(len(present), projection.matrix.shape[1])
        self._known: set[Crop] = set()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and width."""
        return len(self.present), self._values.shape[1]

    def __getitem__(self, rows: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape e"]:
        """Returns the features of rows; NaN where a row has none."""
        for crop in dict.fromkeys(self._slices[row].crop for row in rows.flatten().tolist()):
            if crop not in self._known:
                # A whole crop at once: a product's last bits depend on how many rows it has.
                self._values[torch.tensor(self._rows[crop])] = self._projection(self._raw(crop))
                self._known.add(crop)
        return self._values[rows]


#: Features of a slice table: all there, or on demand.
Features = Tensor | FeaturesOnDemand


def rows_present(features: Features) -> list[bool]:
    """Says of each row whether it has a feature."""
    if isinstance(features, FeaturesOnDemand):
        present: list[bool] = features.present.tolist()
        return present
    told: list[bool] = (~features[:, 0].isnan()).tolist()
    return told
