"""Every broken DICOM series ends in its own reason and a hint: soon, in little memory, never by a crash."""

from __future__ import annotations

import re
import shutil
import sys
import tracemalloc
import warnings
from pathlib import Path

import pytest
from enhanced_dicom import write_enhanced
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import write_dicom_series
from tests.volumes.broken_dicom import BROKEN_DICOM, FRAMES, VOXELS

from med3dinsight.errors import InputError
from med3dinsight.volumes import dicom
from med3dinsight.volumes.reading import read_header, read_volume

#: The bombs would take 32 MB; headers, one slice and pydicom's own modules take less.
MAX_MEMORY = 16 << 20
OPENED: list[str] = []
WATCHING = [False]


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and WATCHING[0] and isinstance(arguments[0], str):
        OPENED.append(arguments[0])


sys.addaudithook(_watch)  # cannot be taken away again; it does nothing while nobody watches


@pytest.mark.parametrize("name", BROKEN_DICOM)
def test_each_has_its_reason_and_a_hint(tmp_path, name):
    write, words = BROKEN_DICOM[name]
    path = write(tmp_path / "scan")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=words) as caught:
            read_volume(path)
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY
    finally:
        tracemalloc.stop()
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert dicom.list_series(path)  # listing never fails: one broken file must not stop the rest


def test_the_reasons_are_as_many_as_the_ways_to_break():
    words = [words for _, words in BROKEN_DICOM.values()]
    assert len(set(words)) >= 40


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Whole scans, whose first file the fuzzer damages: slices, frames, and their bytes."""
    root = tmp_path_factory.mktemp("fuzzed")
    slices = write_dicom_series(root / "slices", VOXELS[:, :, :3])
    frames = write_enhanced(root / "frames" / "one.dcm", FRAMES[:, :, :3])
    # What a header could make us read: a directory of DICOM files, and a file that nobody named.
    (root / "secret.dcm").write_bytes(slices[0].read_bytes())
    shutil.copy(slices[0], root / "slices" / "DICOMDIR")
    return {path: path.read_bytes() for path in (slices[0], frames)}


@settings(max_examples=150)
@given(
    damage=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.one_of(st.none(), st.integers(1, 2000)),
    which=st.integers(0, 1),
)
def test_a_damaged_header_is_read_or_refused(scans, damage, cut, which):
    path, content = list(scans.items())[which]
    changed = bytearray(content)
    length = re.search(b"\xe0\x7f\x10\0O[BW]", content).start() if which == 0 else len(content) - 8640
    for place, value in damage:
        changed[place % length] = value
    path.write_bytes(changed[:cut] if cut else changed)
    OPENED.clear()
    WATCHING[0] = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for read in (read_header, read_volume):
                try:
                    assert min(read(path.parent).spacing_mm) > 0
                except InputError as error:
                    assert error.message
                    assert error.hint
                    assert len(error.message) < 400
            assert dicom.list_series(path.parent) is not None
    finally:
        WATCHING[0] = False
        path.write_bytes(content)
    outside = {Path(name).parent for name in OPENED if "site-packages" not in name and not name.endswith(".pyc")}
    assert outside <= {path.parent}
    assert "DICOMDIR" not in {Path(name).name for name in OPENED}
