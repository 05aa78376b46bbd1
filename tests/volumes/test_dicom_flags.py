"""What a DICOM header says of names in the pixels; whatever is not a clear NO is not taken for one."""

from __future__ import annotations

import pytest

from med3dinsight.volumes.dicom_flags import picture_flags

CT = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT", "PhotometricInterpretation": "MONOCHROME2"}
STORAGE = "1.2.840.10008.5.1.4.1.1."


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        ("NO", ()),
        (" no ", ()),
        ("YES", ("burned-in",)),
        ("Y", ("burned-in",)),
        ("NONE", ("burned-in",)),
        ("", ("burned-in-not-said",)),
        (None, ("burned-in-not-said",)),
        (["YES", "NO"], ("burned-in",)),
    ],
)
def test_only_a_clear_no_is_a_no(value, flags):
    assert picture_flags({**CT, "BurnedInAnnotation": value}) == flags


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        ({"SOPClassUID": STORAGE + "7"}, ("secondary-capture",)),
        ({"SOPClassUID": STORAGE + "7.4"}, ("secondary-capture",)),
        ({"SOPClassUID": STORAGE + "77.1.1"}, ()),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, ("secondary-capture",)),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, ()),
        ({"SOPClassUID": STORAGE + "6.1"}, ("ultrasound",)),
        ({"SOPClassUID": STORAGE + "3.1"}, ("ultrasound",)),
        ({"SOPClassUID": STORAGE + "30"}, ()),
        ({"Modality": "US"}, ("ultrasound",)),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, ("colour",)),
        ({"PhotometricInterpretation": "RGB"}, ("colour",)),
        ({"PhotometricInterpretation": None}, ()),
    ],
)
def test_captures_ultrasound_and_colour_are_known(changed, flags):
    assert picture_flags({**CT, "BurnedInAnnotation": "NO", **changed}) == flags
