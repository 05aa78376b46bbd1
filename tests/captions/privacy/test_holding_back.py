"""Pictures that may carry a name in their pixels stay, whatever the policy says; what headers leave open is told."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from med3dinsight.captions.privacy.guard import check_may_send
from med3dinsight.captions.privacy.holding_back import REASONS
from med3dinsight.preparing import run
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_manifest import read_manifest

CLEAN = np.random.default_rng(0).integers(0, 60, (64, 64, 20)).astype(np.uint8)


@pytest.fixture
def permission(policy):
    """What the guard says of some cases, at an endpoint elsewhere or here."""

    def ask(cases, url="https://api.example.com/v1"):
        return check_may_send(cases, url, allow_remote=True, policy=policy(), today=datetime.date(2026, 6, 1))

    return ask


def striped():
    volume = CLEAN.copy()
    volume[10:40:3, 10:18] = 255
    return volume


@pytest.mark.parametrize("flag", REASONS)
def test_a_case_is_held_back_by_its_header_where_slices_would_leave(case, permission, flag):
    one = case(picture_flags=(flag,))
    assert permission([one]).reason_to_hold(one, CLEAN) == REASONS[flag]
    assert permission([one], "http://127.0.0.1/v1").reason_to_hold(one, striped()) == ""


def test_a_case_is_held_back_by_its_pixels(case, permission):
    one = case(picture_flags=())
    assert "axial slices" in permission([one]).reason_to_hold(one, striped())
    assert permission([one]).reason_to_hold(one, CLEAN) == ""


def test_what_headers_leave_open_is_told_and_holds_nothing_back(case, permission):
    cases = [case(picture_flags=("burned-in-not-said",)), case(id="b"), case(id="c", picture_flags=())]
    notes = permission(cases).notes
    assert len(notes) == 2 and "1 DICOM scan" in notes[0] and notes[1].startswith("1 scan")
    assert not any(permission(cases).reason_to_hold(one, CLEAN) for one in cases)
    assert permission([case(picture_flags=())]).notes == ()


def prepared_flags(source, tmp_path, dicom_series, changes):
    voxels = np.random.default_rng(0).integers(-500, 500, (12, 12, 10)).astype(np.int16)
    dicom_series(source / "scan", voxels, changes=changes)
    work = Workspace(tmp_path / "work", create=True)
    run(PrepareConfig(source=str(source), protocol="native", workers=1), work)
    return read_manifest(work.prepared)[0].picture_flags


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({n: {"BurnedInAnnotation": "NO"} for n in range(10)}, ()),
        ({}, ("burned-in-not-said",)),
        ({n: {"BurnedInAnnotation": "YES" if n == 7 else "NO"} for n in range(10)}, ("burned-in",)),
    ],
)
def test_preparing_keeps_what_any_slice_of_a_series_says(tmp_path, dicom_series, changes, flags):
    assert prepared_flags(tmp_path / "in", tmp_path, dicom_series, changes) == flags


def test_preparing_knows_screen_captures(tmp_path, dicom_series):
    capture = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "BurnedInAnnotation": "NO"}
    flags = prepared_flags(tmp_path / "in", tmp_path, dicom_series, {n: capture for n in range(10)})
    assert flags == ("secondary-capture",)
