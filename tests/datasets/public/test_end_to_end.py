"""Public data sets from their folder into a workspace."""

from __future__ import annotations

import numpy as np
import pytest
from replica_files import label, voxels

from med3dinsight import datasets
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.run import run
from med3dinsight.volumes.labels import class_map
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_store import VoxelStore


@pytest.fixture
def prepared(replica, tmp_path):
    """Prepares a replica at half a millimetre, finer than its slabs are thick: ``store, result = prepared(name)``."""

    def make(name: str, **settings):
        workspace = Workspace(tmp_path / "work", create=True)
        result = run(PrepareConfig(source=str(replica(name)), protocol="native", spacing_mm=0.5, **settings), workspace)
        return VoxelStore(workspace.prepared), result

    return make


def test_hearts_of_mmwhs_keep_their_seven_values_and_names(prepared):
    store, result = prepared("mmwhs_ct")
    assert (result.prepared, result.left_out) == (3, ())
    case = store.cases["ct_train_1001"]
    assert (case.modality, case.modality_guessed, case.split) == ("ct", False, "train")
    assert set(np.unique(store.label("ct_train_1001"))) == {0, 205, 420, 500, 550, 600, 820, 850}
    lookup = class_map(
        case.label_names, [{"name": "LV", "match": ["left ventricle blood*"]}, {"name": "AA", "match": [820]}]
    )
    assert (lookup[500], lookup[820], lookup[205], lookup[600]) == (1, 2, 0, 0)
    assert not store.cases["ct_test_2001"].has_label


def test_livers_of_chaos_lie_where_their_masks_say(prepared):
    store, result = prepared("chaos_ct")
    assert (result.prepared, result.left_out) == (3, ())
    case = store.cases["chaos_ct_1"]
    assert case.label_names == ((1, "liver"),)
    liver = store.label("chaos_ct_1")
    assert set(np.unique(liver)) == {0, 1}
    # The slab is the third column of nine; x grows to the right of the patient, columns to the left.
    where = np.flatnonzero((liver == 1).any(axis=(1, 2)))
    columns = (liver.shape[0] - 1 - where) / liver.shape[0] * 9
    assert columns.min() > 1.5 and columns.max() < 3.5


def test_sessions_of_oasis_2_are_read_from_analyze_pairs_with_the_class_of_their_person(prepared):
    store, result = prepared("oasis2_cls")
    assert (result.prepared, result.left_out) == (5, ())
    case = store.cases["OAS2_0002_MR1"]
    assert (case.subject, case.class_label, case.modality) == ("OAS2_0002", "AD", "mr")
    assert case.source_shape == voxels().shape
    assert {store.cases[name].class_label for name in ("OAS2_0018_MR1", "OAS2_0018_MR3")} == {""}


def test_channels_of_a_decathlon_task_are_prepared_one_by_one(prepared):
    store, result = prepared("msd_prostate")
    assert (result.prepared, result.left_out) == (6, ())
    first, second = store.cases["prostate_00_0000"], store.cases["prostate_00_0001"]
    assert first.subject == second.subject == "prostate_00"
    assert first.content_sha256 != second.content_sha256
    assert set(np.unique(store.label("prostate_00_0001"))) == {0, 1, 2}


def test_reports_and_abnormalities_of_ct_rate_stay_with_their_scan(prepared):
    store, result = prepared("ct_rate")
    assert (result.prepared, result.left_out) == (5, ())
    case = store.cases["train_1_a_2"]
    assert (case.subject, case.class_label, case.split) == ("train_1", "Emphysema; Lung nodule", "train")
    assert case.report == "Trachea, both main bronchi are open.\nEmphysema."
    assert store.cases["valid_1_a_1"].split == "validation"


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
