from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.evaluation.segmentation import slab_regions


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 3), st.integers(1, 60)),
    st.floats(0.3, 6).map(lambda size: round(size, 2)),
    st.floats(5, 120),
)
def test_slabs_cover_every_voxel_once_and_are_thin_enough(
    shape: tuple[int, int, int], spacing: float, slab_mm: float
) -> None:
    counts = np.zeros(shape, int)
    for _, region in slab_regions(shape, (1.0, 1.0, spacing), slab_mm):
        counts[region] += 1
        assert counts[region].shape[2] >= 1
        assert counts[region].shape[2] * spacing <= slab_mm * 1.01 + spacing
    assert (counts == 1).all()


def test_left_is_low_x_and_slabs_count_from_the_feet() -> None:
    regions = dict(slab_regions((10, 4, 12), (1.0, 1.0, 1.0), 4.0))
    assert regions["left-0"] == (slice(0, 5), slice(None), slice(0, 4))
    assert regions["right-2"] == (slice(5, None), slice(None), slice(8, 12))


@pytest.mark.parametrize(
    ("slices", "spacing", "count"), [(133, 2.5, 4), (112, 3.0, 4), (20, 2.0, 1), (32, 3.0000002, 1), (1, 500.0, 1)]
)
def test_the_sample_scans_give_the_expected_number_of_slabs(slices: int, spacing: float, count: int) -> None:
    assert len(list(slab_regions((4, 4, slices), (1.0, 1.0, spacing), 96.0))) == 2 * count
