"""Text burnt into every slice is noticed; real anatomy, and the scanner's table, are let pass."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from med3dinsight.captions.privacy.tripwire import find_burnt_in
from med3dinsight.datasets import find
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.item import prepare_source
from med3dinsight.types import Plane


@pytest.fixture(scope="module")
def scans(sample_dir):
    """Those where most stands still, as they are prepared: thick slices, a table, arms, a symmetrical average."""
    sources = {source.id: source for source in find(sample_dir)[0]}
    chosen = [(name, "cube128") for name in ("dicom_ct", "abdomen_ct", "abdomen_mr", "brain_mr")]
    chosen += [(name, "native") for name in ("dicom_ct", "abdomen_ct", "abdomen_mr", "brain_mr", "contrast_ct")]
    return {
        (name, protocol): prepare_source(sources[name], PrepareConfig(source="x", protocol=protocol)).voxels
        for name, protocol in chosen
    }


def written(volume, plane, height=10, place=(4, 4), value=255):
    """A copy with a name in every slice of a plane."""
    volume = volume.copy()
    slices = np.moveaxis(volume, plane.axis, 0)
    picture = Image.new("L", slices.shape[:0:-1])
    ImageDraw.Draw(picture).text(place, "DOE^JANE 1970", fill=255, font=ImageFont.load_default(height))
    slices[:, np.asarray(picture) > 100] = value
    return volume


def phantom(shape=(96, 96, 40), seed=0):
    return np.random.default_rng(seed).integers(0, 60, shape).astype(np.uint8)


@pytest.mark.network
def test_no_sample_scan_raises_the_alarm(scans):
    assert {name: hit for name, volume in scans.items() if (hit := find_burnt_in(volume)) is not None} == {}


@pytest.mark.network
@pytest.mark.parametrize("plane", Plane)
def test_a_name_in_the_dark_corner_is_found(scans, plane):
    for (name, _), volume in scans.items():
        if name in ("abdomen_ct", "brain_mr", "contrast_ct"):
            hit = find_burnt_in(written(volume, plane))
            assert hit is not None and hit.plane == plane, name


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize("value", [200, 255])
def test_a_name_over_dim_tissue_is_found_in_its_plane(plane, value):
    hit = find_burnt_in(written(phantom(), plane, value=value))
    assert hit.plane == plane and hit.num_pixels > 60


def test_a_name_that_some_slices_lack_is_found_and_one_of_few_slices_is_not():
    volume = phantom()
    most, few = written(volume, Plane.AXIAL), written(volume, Plane.AXIAL)
    most[:, :, :3], few[:, :, :30] = volume[:, :, :3], volume[:, :, :30]
    assert find_burnt_in(most) is not None and find_burnt_in(few) is None


def test_padding_does_not_count_as_slices():
    volume = np.zeros((96, 96, 96), np.uint8)
    volume[:, :, 30:60] = written(phantom((96, 96, 30)), Plane.AXIAL)
    assert find_burnt_in(volume).num_slices == 30


def test_straight_bone_and_a_bright_table_are_no_text():
    volume = phantom((128, 128, 40))
    x, y = np.ogrid[:128, :128]
    drift = np.linspace(0, 6, 40)
    for z in range(40):  # a shaft that leans, as bones do
        ring = (x - 40 - drift[z]) ** 2 + (y - 60) ** 2
        volume[(ring < 64) & (ring > 25), z] = 250
    volume[np.abs(y - 14 - 0.004 * (x - 64) ** 2) < 1.0] = 250
    assert find_burnt_in(volume) is None


@pytest.mark.parametrize("shape", [(1, 1, 1), (64, 64, 3), (3, 200, 7)])
def test_small_and_empty_volumes_are_let_pass(shape):
    assert find_burnt_in(np.zeros(shape, np.uint8)) is None
    assert find_burnt_in(np.full(shape, 255, np.uint8)) is None
