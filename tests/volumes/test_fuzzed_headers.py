"""Headers with random damage: a volume or an input error, soon, and no file is opened but those of the scan."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from med3dinsight.errors import InputError
from med3dinsight.volumes.header import ScanHeader
from med3dinsight.volumes.reading import read_header, read_volume

VALUES = np.random.default_rng(0).integers(0, 99, (6, 5, 4)).astype(np.int16)
#: A value that no scan here holds: whoever meets it has read a file that is none of its business.
SECRET = 0x5A5A
OPENED: list[str] = []
WATCHING = [False]
DAMAGE = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8)
NASTY = st.sampled_from(
    [
        *(b"", b"0", b"-1", b"nan", b"1e999", b"9" * 30, b"3.5", b"%s%n", b"\xff\xfe", b"none", b"LIST", b"(1,0,0)"),
        *(
            b"../secret.raw",
            b"link.raw",
            b"/etc/passwd",
            b"/dev/zero",
            b".",
            b"..",
            b"~/x",
            b"%03d.raw 0 9 1",
            b"a b c",
        ),
        *(b"1000000 1000000 1000000", b"60 60 60", b"gzip", b"bzip2", b"4", b"double", b"MET_DOUBLE", b"big", b"True"),
    ]
)


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and WATCHING[0] and isinstance(arguments[0], str):
        OPENED.append(arguments[0])


sys.addaudithook(_watch)  # cannot be taken away again; it does nothing while nobody watches


def read_or_refuse(path: Path) -> None:
    """Reads a scan; checks that the outcome is one of the two, and what was opened for it."""
    OPENED.clear()
    WATCHING[0] = True
    try:
        for read in (read_header, read_volume):
            try:
                result = read(path)
            except InputError as error:
                assert error.message
                assert error.hint
                assert len(error.message) < 400
            else:
                assert isinstance(result, ScanHeader) or np.isfinite(result.array).all()
                assert isinstance(result, ScanHeader) or not (result.array == SECRET).all()
                assert min(result.spacing_mm) > 0
    finally:
        WATCHING[0] = False
    assert {Path(name).parent for name in OPENED} == {path.parent}
    assert {Path(name).name.split(".")[0] for name in OPENED} == {path.name.split(".")[0]}


def damaged(content: bytes, damage: list[tuple[int, int]], length: int) -> bytes:
    changed = bytearray(content)
    for place, value in damage:
        changed[place % length] = value
    return bytes(changed)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A folder with one scan in every format, and secrets around it."""
    root = tmp_path_factory.mktemp("fuzzed")
    secret = np.full(VALUES.size, SECRET, dtype=np.int16).tobytes()
    (root / "secret.raw").write_bytes(secret)
    folder = root / "scans"
    folder.mkdir()
    (folder / "link.raw").symlink_to(root / "secret.raw")
    image = SimpleITK.GetImageFromArray(VALUES)
    for name in ("a.nrrd", "b.nhdr", "c.mha", "d.mhd"):
        SimpleITK.WriteImage(image, str(folder / name))
        SimpleITK.WriteImage(image, str(folder / f"packed_{name}"), useCompression=True)
    affine = np.diag([1.0, 2, 3, 1])
    nib.save(nib.Nifti1Image(VALUES, affine), folder / "e.nii")
    nib.save(nib.Nifti2Image(VALUES, affine), folder / "f.nii")
    nib.save(nib.Nifti1Pair(VALUES, affine), folder / "g.hdr")
    nib.save(nib.AnalyzeImage(VALUES, affine), folder / "h.hdr")
    return folder, {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".raw"}


@pytest.mark.parametrize("name", ["e.nii", "f.nii", "g.hdr", "h.hdr"])
@hypothesis_settings(max_examples=60)
@given(damage=DAMAGE)
@example(damage=[(415, 96)])  # an affine that overflows
def test_damaged_binary_headers(scans, name, damage):
    folder, contents = scans
    length = {"e.nii": 352, "f.nii": 544}.get(name, 348)
    (folder / name).write_bytes(damaged(contents[name], damage, length))
    read_or_refuse(folder / name)


@hypothesis_settings(max_examples=60)
@given(damage=DAMAGE, level=st.sampled_from([0, 1, 9]))
@example(damage=[(10, 0)], level=0)  # a deflate block that cannot be
def test_damaged_gzip_streams(scans, damage, level):
    folder, contents = scans
    packed = gzip.compress(contents["e.nii"], level, mtime=0)
    (folder / "z.nii.gz").write_bytes(damaged(packed, damage, len(packed)))
    read_or_refuse(folder / "z.nii.gz")


TEXT = [f"{packed}{name}" for packed in ("", "packed_") for name in ("a.nrrd", "b.nhdr", "c.mha", "d.mhd")]


@pytest.mark.parametrize("name", TEXT)
@hypothesis_settings(max_examples=30)
@given(damage=DAMAGE)
def test_damaged_text_headers(scans, name, damage):
    folder, contents = scans
    content = contents[name]
    length = min(len(content), 420)
    (folder / name).write_bytes(damaged(content, damage, length))
    read_or_refuse(folder / name)


@pytest.mark.parametrize("name", TEXT)
@hypothesis_settings(max_examples=40)
@given(changes=st.lists(st.tuples(st.integers(0, 40), NASTY), min_size=1, max_size=3))
def test_text_headers_with_wild_values(scans, name, changes):
    folder, contents = scans
    separator = b": " if name.endswith(("nrrd", "nhdr")) else b" = "
    lines = contents[name].split(b"\n")
    fields = [number for number, line in enumerate(lines[:20]) if separator in line and line[:1] != b"#"]
    for place, value in changes:
        number = fields[place % len(fields)]
        lines[number] = lines[number].split(separator)[0] + separator + value
    (folder / name).write_bytes(b"\n".join(lines))
    read_or_refuse(folder / name)


@pytest.mark.parametrize(("name", "key"), [("b.nhdr", b"data file: "), ("d.mhd", b"ElementDataFile = ")])
@hypothesis_settings(max_examples=80)
@given(
    pieces=st.lists(
        st.sampled_from(
            ["..", "/", "secret.raw", "link.raw", ".", "\\", "~", "\0", "%", "LIST", " ", "./", "//", "scans"]
        )
        | st.text(max_size=3),
        max_size=5,
    )
)
def test_no_name_of_a_file_leads_to_the_secret(scans, name, key, pieces):
    folder, contents = scans
    kept = b"\n".join(line for line in contents[name].split(b"\n") if not line.startswith(key)).rstrip()
    (folder / name).write_bytes(kept + b"\n" + key + "".join(pieces).encode("utf-8", "replace") + b"\n")
    read_or_refuse(folder / name)
