"""Public data sets read to their end."""

from __future__ import annotations

import pytest
from replica_files import label

from med3dinsight import datasets


@pytest.mark.parametrize("name", ["oasis1_seg", "acdc", "vs_seg"])
def test_a_whole_replica_is_sound(replica, name):
    result = datasets.check(name, replica(name))
    told = [row.reason for row in result.problems]
    assert all(" of " in reason or "the authors do not use" in reason for reason in told), told
    assert result.layout == name and result.scans and result.labelled == result.scans


def test_a_label_value_that_was_never_published_is_told(replica):
    root = replica("mmwhs_ct")
    label(root / "ct_train" / "ct_train_1001_label.nii.gz", 500, 421)
    told = [row.reason for row in datasets.check("mmwhs_ct", root).problems]
    assert any("values without a name: 421" in reason for reason in told)
