"""The template control knows metadata and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from med3dinsight.captions.template import TemplateCaptioner
from med3dinsight.records import Case, Crop, SliceRef
from med3dinsight.slices.outline import find_outline
from med3dinsight.slices.rendering import render
from med3dinsight.types import Plane


@pytest.mark.parametrize(
    ("plane", "index", "text"),
    [
        (Plane.AXIAL, 58, "An axial CT slice at the upper end of the scan."),
        (Plane.AXIAL, 29, "An axial CT slice in the middle of the scan."),
        (Plane.CORONAL, 10, "A coronal CT slice in the back third of the scan."),
        (Plane.SAGITTAL, 50, "A sagittal CT slice just right of the middle of the scan."),
    ],
)
def test_modality_plane_and_place_are_told_whatever_the_picture_shows(
    case: Callable[..., Case], phantom: NDArray[np.float32], plane: Plane, index: int, text: str
) -> None:
    crop = Crop("trunk", (0, 0, 0), 90)
    for voxels in (np.full(phantom.shape, 134, dtype=np.uint8), np.zeros(phantom.shape, dtype=np.uint8)):
        row = case("trunk", voxels)
        view = render(voxels, row, find_outline(voxels, row), SliceRef(crop, plane, index))
        assert TemplateCaptioner().describe(view) == text
