from __future__ import annotations

import numpy as np

from med3dinsight.finetuning.whole_volume import whole_volume
from med3dinsight.workspace.voxel_store import cut


def test_the_middle_of_a_volume_does_not_keep_the_volume_alive() -> None:
    """The training cases of a classification are held: a view of each would hold them whole."""
    voxels = np.random.default_rng(0).integers(0, 256, (40, 30, 20), dtype=np.uint8)
    middle = whole_volume(voxels, 16, "crop")
    assert np.array_equal(middle, cut(voxels, (12, 7, 2), (16, 16, 16)))
    assert not np.shares_memory(middle, voxels)
