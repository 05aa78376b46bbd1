"""What the header of a NIfTI or Analyze 7.5 file declares, checked before anything is allocated.

Orientation: the sform where its code is set, else the qform, else nibabel's rule for files that say nothing
(the first axis runs to the patient's left, the origin lies in the middle of the image). Analyze 7.5 files have
neither: the same rule, with SPM's origin field where that lies near the image. Whatever was assumed is noted.
"""

from __future__ import annotations

import logging
import struct
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.spm2analyze import Spm2AnalyzeHeader
from nibabel.wrapstruct import WrapStructError

from ..errors import InputError
from .layout import VoxelLayout
from .orientation import check_affine

#: The longest header (NIfTI-2).
HEADER_BYTES = 540
#: Largest distance of the voxels from the start of the file: header and extensions.
MAX_OFFSET = 64 << 20

_AGAIN = "export it again"
_BROKEN = (HeaderDataError, WrapStructError, ValueError, OverflowError, struct.error)
#: NIfTI's codes for units of length, where they are not millimetres.
_UNITS = {1: ("metres", 1e3), 3: ("micrometres", 1e-3)}
#: nibabel tells the screen what it repairs in a header; here it is either refused or of no consequence.
_SILENT = logging.Logger("nothing is said")
_SILENT.addHandler(logging.NullHandler())


def parse_header(head: bytes, name: str, pair: bool = False) -> VoxelLayout:
    """Reads and checks a header.

    Args:
        head: The first 540 bytes of the file (fewer where it is shorter), decompressed.
        name: Name of the file, for messages.
        pair: The voxels lie in an ``.img`` file beside it; such a header may also be Analyze 7.5.

    Raises:
        InputError: It is no such header, or what it declares makes no 3D volume (or several as channels).
    """
    header = _header(head, name, pair)
    spatial, num_channels = _shape(header, name)
    offset = float(header["vox_offset"])
    if not (0 if pair else 352) <= offset <= MAX_OFFSET:
        raise InputError(f"{name} has a broken header: its voxels start at byte {offset:g}", _AGAIN)
    try:
        dtype = np.dtype(header.get_data_dtype())
        slope, intercept = header.get_slope_inter()
    except _BROKEN as error:
        raise InputError(f"{name} has a voxel type or scaling that nobody knows: {error}", _AGAIN) from None
    if dtype.fields is not None or dtype.kind not in "iuf":
        raise InputError(f"{name} holds colours or complex numbers ({dtype})", "give one plain number a voxel")
    affine, notes = _orientation(header, name)
    return VoxelLayout(
        shape=spatial,
        affine=affine,
        dtype=dtype,
        offset=int(offset),
        num_channels=num_channels,
        slope=1.0 if slope is None else float(slope),
        intercept=0.0 if slope is None else float(intercept or 0),
        notes=notes,
    )


def _header(head: bytes, name: str, pair: bool) -> Any:
    kind: Any
    sizes = {struct.unpack(order + "i", head[:4])[0] for order in "<>"} if len(head) >= 348 else set()
    kind, length = (nib.Nifti2Header, 540) if 540 in sizes else (nib.Nifti1Header, 348)
    magic = head[4:8] if length == 540 else head[344:348]
    nifti = magic[:1] == b"n"
    if not sizes & {348, 540} or len(head) < length or not (nifti or (pair and length == 348)):
        formats = "NIfTI or Analyze" if pair else "NIfTI"
        raise InputError(f"{name} is not a {formats} file", "give NIfTI, NRRD, MHA or a DICOM folder")
    if nifti and magic[1:2] != (b"i" if pair else b"+"):
        reason, hint = "keeps its voxels in another file", "name it .hdr beside its .img, or save it as one .nii file"
        if pair:
            reason, hint = "is a whole NIfTI file, not the header of a pair", "name it .nii"
        raise InputError(f"{name} {reason}", hint)
    try:
        header = (kind if nifti else Spm2AnalyzeHeader)(head[:length], check=False)
        _check_voxel_size(header, name)  # nibabel would make it 1 mm
        header.check_fix(logger=_SILENT, error_level=40)
    except _BROKEN as error:
        raise InputError(f"{name} has a broken header: {error}", _AGAIN) from None
    return header


def _check_voxel_size(header: Any, name: str) -> None:
    by_matrix = "sform_code" in header and int(header["sform_code"]) > 0
    if not by_matrix and not np.all(header["pixdim"][1:4]):
        raise InputError(f"{name} says nothing of its voxel size", "repair its header (pixdim), or export it again")


def _shape(header: Any, name: str) -> tuple[tuple[int, int, int], int]:
    shape = tuple(int(length) for length in header.get_data_shape())
    if len(shape) < 3 or min(shape) < 1:
        raise InputError(f"{name} is not a 3D image: its shape is {shape}", "give one 3D volume a file")
    more = [length for length in shape[3:] if length != 1]
    if len(more) > 1:
        raise InputError(f"{name} is {len(shape)}D: its shape is {shape}", "split it into 3D or 4D files")
    return (shape[0], shape[1], shape[2]), (more[0] if more else 1)


def _orientation(header: Any, name: str) -> tuple[Any, tuple[str, ...]]:
    analyze = isinstance(header, Spm2AnalyzeHeader)
    unit, factor = ("", 1.0) if analyze else _UNITS.get(int(header["xyzt_units"]) & 7, ("", 1.0))
    try:
        with np.errstate(all="ignore"):  # what overflows is refused as an affine that is not finite
            affine = np.array(header.get_best_affine(), dtype=np.float64) * ([[factor]] * 3 + [[1.0]])
    except _BROKEN as error:
        raise InputError(f"{name} has a broken orientation: {error}", _AGAIN) from None
    notes: list[str] = []
    if analyze:
        notes.append(
            "Analyze 7.5 says nothing of left and right: read as radiological, the first axis runs to the left"
        )
        return check_affine(affine, name), tuple(notes)
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        notes.append("the header says nothing of left and right: read as if the first axis runs to the left")
    if unit:
        notes.append(f"lengths in {unit} were turned into millimetres")
    return check_affine(affine, name), tuple(notes)
