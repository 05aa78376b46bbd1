"""Files that replicas of data sets are made of: scans, label maps, tables; small, and in the formats as downloaded."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from med3dinsight.volumes.nifti import write_nifti

AFFINE = np.diag([-0.8, -0.8, 2.0, 1.0])
SHAPE = (9, 8, 10)


def voxels(seed: int = 0) -> NDArray[np.int16]:
    """Half air, half tissue, in HU (or MR values above -1000)."""
    array = np.random.default_rng(seed).integers(-20, 80, SHAPE).astype(np.int16)
    array[:3] = -1000
    return array


def labels(*values: int) -> NDArray[np.int16]:
    """Background, and a slab along the first axis for each value."""
    array = np.zeros(SHAPE, dtype=np.int16)
    for place, value in enumerate(values):
        array[2 + place % 7] = value
    return array


def image(path: Path, seed: int = 0) -> None:
    """Writes a scan."""
    write_nifti(path, voxels(seed), AFFINE)


def label(path: Path, *values: int) -> None:
    """Writes a label map with these values on the grid of :func:`image`."""
    write_nifti(path, labels(*values), AFFINE)


def table(path: Path, *rows: str) -> None:
    """Writes lines of a text table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def excel(path: Path, rows: list[list[str]]) -> None:
    """Writes an Excel file as Excel does: shared texts, numbers in place, empty cells left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    texts = sorted({cell for row in rows for cell in row if cell and not cell.replace(".", "").isdigit()})
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = ""
        for column, cell in enumerate(row):
            name = f"{chr(ord('A') + column)}{number}"
            if cell in texts:
                cells += f'<c r="{name}" t="s"><v>{texts.index(cell)}</v></c>'
            elif cell:
                cells += f'<c r="{name}"><v>{cell}</v></c>'
        lines.append(f'<row r="{number}">{cells}</row>')
    shared = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/sharedStrings.xml", f"<sst {main}>{shared}</sst>")
        archive.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {main}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        )


def analyze(path: Path, seed: int) -> None:
    """Writes a pair of .hdr and .img in the header of Analyze 7.5, with four dimensions as published."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = nib.AnalyzeImage(voxels(seed)[..., None] + 1000, np.diag([1.0, 1.0, 1.25, 1.0]))
    picture.header.set_zooms((1.0, 1.0, 1.25, 0.0))
    nib.save(picture, path)
