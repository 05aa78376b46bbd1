"""Every broken file ends in its own reason and a hint: soon, in little memory, and never by a crash."""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import pytest
from tests.volumes.broken_files import BROKEN, VALUES, WHOLE
from tests.volumes.broken_text_files import BROKEN_TEXT

from med3dinsight.errors import InputError
from med3dinsight.volumes.header import ScanHeader
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.volumes.reading import read_header, read_label, read_volume

ALL = {**BROKEN, **BROKEN_TEXT}
#: Most memory that finding out may take; the bombs among the files would take from 20 MB to terabytes.
MAX_MEMORY = 8 << 20
AFFINE = np.diag([1.0, 2, 3, 1])


@contextmanager
def soon(seconds: int = 5) -> Generator[None]:
    """Ends what hangs."""

    def stop(*_: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_there_are_enough_kinds():
    assert len(ALL) == len(BROKEN) + len(BROKEN_TEXT) >= 100


@pytest.mark.parametrize("kind", ALL)
def test_every_broken_file_ends_in_its_own_reason(tmp_path, kind):
    write, words = ALL[kind]
    path = write(tmp_path)
    tracemalloc.start()
    try:
        with soon(), pytest.raises(InputError, match=words) as caught:
            read_volume(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stem.split(".")[0] in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert len(caught.value.message) < 300
    assert peak < MAX_MEMORY
    try:
        with soon():
            assert isinstance(read_header(path), ScanHeader)  # the header alone may be whole
    except InputError as error:
        assert error.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file; run the tests as another user")
def test_a_file_without_the_right_to_read_it_says_so(tmp_path):
    (tmp_path / "scan.nii").write_bytes(WHOLE)
    (tmp_path / "scan.nii").chmod(0)
    with pytest.raises(InputError, match=r"scan\.nii cannot be read: Permission denied"):
        read_volume(tmp_path / "scan.nii")


def test_a_right_that_is_refused_says_so(tmp_path, monkeypatch):
    (tmp_path / "scan.nii").write_bytes(WHOLE)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError, match=r"scan\.nii cannot be read: Permission denied"):
        read_volume(tmp_path / "scan.nii")


@pytest.mark.parametrize(
    ("values", "affine", "words"),
    [
        (VALUES[:-1] * 0, AFFINE, r"has \(7, 7, 6\) voxels, its image \(8, 7, 6\)"),
        (VALUES * 0, AFFINE + np.eye(4)[:, [3, 3, 3, 0]] * 5, "lies 5.0 mm off its image"),
        (VALUES * 0, np.diag([1.0, 2, 3.2, 1]), "lies 1.0 mm off its image"),
        (np.minimum(VALUES, 5), AFFINE, "holds labels -993 to 5"),
        (np.abs(VALUES).astype(np.int32) * 1000, AFFINE, "holds labels 1000 to 998000"),
        (np.abs(VALUES) * np.float32(0.5), AFFINE, "no whole numbers"),
        (np.where(VALUES > 0, np.inf, 0).astype(np.float32), AFFINE, "NaN or infinite"),
        (np.stack([VALUES * 0] * 2, axis=-1), AFFINE, "holds 2 channels"),
    ],
    ids=["shape", "shifted", "spacing", "negative", "too large", "fraction", "infinite", "4D"],
)
def test_every_label_map_that_does_not_fit_ends_in_its_own_reason(tmp_path, values, affine, words):
    (tmp_path / "image.nii").write_bytes(WHOLE)
    write_nifti(tmp_path / "label.nii.gz", values, affine)
    with pytest.raises(InputError, match=words) as caught:
        read_label(tmp_path / "label.nii.gz", read_volume(tmp_path / "image.nii"))
    assert caught.value.message.startswith("label.nii.gz")
    assert caught.value.hint
