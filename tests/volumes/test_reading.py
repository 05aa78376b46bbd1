"""What is no scan says so, with the path and a hint."""

from __future__ import annotations

import pytest

from med3dinsight.errors import InputError
from med3dinsight.volumes.reading import read_volume


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no such file: .*nothing\.nii"):
        read_volume(tmp_path / "nothing.nii")


def test_an_unknown_format_is_named_with_the_known_ones(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II")
    with pytest.raises(InputError) as caught:
        read_volume(tmp_path / "a.tif")
    assert "a.tif" in caught.value.message
    assert ".nii.gz" in caught.value.hint


def test_an_empty_folder_is_no_series(tmp_path):
    with pytest.raises(InputError, match="holds 0 DICOM slices"):
        read_volume(tmp_path)
