"""A folder with broken files of every kind: each ends in the table of problems, and the good scan goes on."""

from __future__ import annotations

from pathlib import Path

from tests.volumes.broken_files import BROKEN, WHOLE
from tests.volumes.broken_text_files import BROKEN_TEXT

from med3dinsight.datasets.checking import check


def test_every_broken_file_is_told_and_the_good_one_goes_on(tmp_path):
    written: dict[str, str] = {}
    for number, (write, _) in enumerate({**BROKEN, **BROKEN_TEXT}.values()):
        folder = tmp_path / f"{number:03d}"
        folder.mkdir()
        path = write(folder)
        if path.is_file() and path.suffix != ".tif":
            written[str(path)] = path.name
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "scan.nii").write_bytes(WHOLE)
    result = check("auto", tmp_path)
    assert result.scans == 1
    told = {problem.file: problem for problem in result.problems}
    assert written.keys() <= told.keys()
    for file, name in written.items():
        assert name in told[file].reason
        assert told[file].hint
    assert len(written) > 140
    assert all(Path(file).is_relative_to(tmp_path) for file in told)
