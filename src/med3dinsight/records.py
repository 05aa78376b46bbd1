"""Frozen records that cross rooms: a prepared case, a crop of it, a slice of a crop."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from .types import Matrix4, Modality, Plane, Shape3, Vector3


@dataclass(frozen=True)
class Source:
    """One scan found in a source folder, before it is read.

    Attributes:
        id: Unique name of the case, safe as a file name.
        subject: The person; splits and leakage checks go by it.
        image: Path of the image file, or of the folder of a DICOM series.
        series: SeriesInstanceUID where the folder holds several series ("no-uid" for files that say none); empty means
            the only one.
        channel: Which channel of a 4D file, from 0; None means that the file is 3D.
        label: Path of a label map on the same grid, or None.
        label_names: ``{label value: name}`` where a table beside the label map says so.
        modality: "ct" or "mr" where it is known beforehand; None means it is read or guessed.
        origin: Where the data come from, for the report; may be empty.
        licence: Licence of the data, for the report; may be empty.
        class_label: Class of the whole scan, for classification; may be empty.
        report: Text of a radiology report, or path of a text file with it; may be empty.
        split: "train", "validation" or "test" where the data set says so; else empty.
    """

    id: str
    subject: str
    image: str
    label: str | None = None
    label_names: tuple[tuple[int, str], ...] = ()
    modality: Modality | None = None
    origin: str = ""
    licence: str = ""
    series: str = ""
    channel: int | None = None
    class_label: str = ""
    report: str = ""
    split: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A file that could not be used, with the reason and what to do about it."""

    file: str
    reason: str
    hint: str


@dataclass(frozen=True)
class Case:
    """One prepared volume: a row of the manifest.

    Attributes:
        id, subject, image, label, label_names, origin, licence, series, channel, class_label, report, split: As in
            :class:`Source`.
        modality: "ct" or "mr".
        modality_guessed: True where the modality was guessed from the intensities.
        shape: Voxels of the prepared volume along x, y, z (RAS+).
        spacing_mm: Prepared voxel size along x, y, z.
        affine: 4 x 4, prepared voxel index to world millimetres (RAS+).
        source_shape: Voxels of the file as stored.
        source_affine: 4 x 4, index in the file to world millimetres (RAS+).
        source_sha256: Hash of the source file's bytes (for a series: of its files in order).
        voxel_sha256: Hash of the prepared voxels, for the integrity of the store.
        content_sha256: Hash of the scan's own voxels in RAS+ order whatever file they came in, for leakage checks;
            empty in workspaces of an earlier version.
        window: Intensities (HU for CT) that became 0 and 255.
        window_rule: What the window was taken from, see :mod:`med3dinsight.volumes.intensity`; empty in workspaces of
            an earlier version.
        offset: First voxel of this case in the flat store's files; -1 where the case has files of its own.
        has_label: Whether the store holds a label map for this case.
        notes: What the reader accepted or assumed where the file leaves it open, a sentence each.
        label_sha256: Hash of the prepared label map, as ``voxel_sha256``; empty where there is none.
        picture_flags: What the header says of names in the pixels: "burned-in", "burned-in-not-said" (DICOM without a
            word on it), "secondary-capture", "ultrasound", "colour"; "unknown" in workspaces of an earlier version.
        voxel_bytes, label_bytes: Sizes of the case's own files; 0 in the flat store.
    """

    id: str
    subject: str
    image: str
    modality: Modality
    modality_guessed: bool
    shape: Shape3
    spacing_mm: Vector3
    affine: Matrix4
    source_shape: Shape3
    source_affine: Matrix4
    source_sha256: str
    voxel_sha256: str
    window: tuple[float, float]
    offset: int
    has_label: bool
    label: str | None = None
    label_names: tuple[tuple[int, str], ...] = ()
    origin: str = ""
    licence: str = ""
    series: str = ""
    channel: int | None = None
    class_label: str = ""
    report: str = ""
    split: str = ""
    content_sha256: str = ""
    window_rule: str = ""
    notes: tuple[str, ...] = ()
    label_sha256: str = ""
    voxel_bytes: int = 0
    label_bytes: int = 0
    picture_flags: tuple[str, ...] = ("unknown",)

    @property
    def in_hounsfield(self) -> bool:
        """Whether the window is in HU: CT, unless its values were something else before they were prepared."""
        return self.modality == "ct" and self.window_rule in ("", "hu")

    @property
    def num_voxels(self) -> int:
        """Number of prepared voxels."""
        return self.shape[0] * self.shape[1] * self.shape[2]


@dataclass(frozen=True, order=True)
class Crop:
    """A cube cut out of a prepared volume; it may reach beyond it, where it is padded with 0.

    Attributes:
        case: Id of the case.
        origin: First voxel along x, y, z in the prepared volume; may be negative.
        size: Edge length in voxels.
    """

    case: str
    origin: Shape3
    size: int


@dataclass(frozen=True, order=True)
class SliceRef:
    """One slice of a crop: the thing that is captioned, embedded and asked for.

    Attributes:
        crop: The crop it is a slice of.
        plane: The plane it lies in.
        index: Voxel index along the plane's axis inside the crop, 0 .. size - 1.
    """

    crop: Crop
    plane: Plane
    index: int

    @property
    def key(self) -> str:
        """A stable name: ``case:x,y,z,size:plane:index``."""
        x, y, z = self.crop.origin
        return f"{self.crop.case}:{x},{y},{z},{self.crop.size}:{int(self.plane)}:{self.index}"

    @property
    def relative_position(self) -> float:
        """Slice centre along the plane's axis, 0..1 across the crop."""
        return (self.index + 0.5) / self.crop.size


def to_json(record: Any) -> dict[str, Any]:
    """Turns a record into plain JSON values (tuples become lists)."""
    return asdict(record)


def _freeze(value: Any) -> Any:
    return tuple(_freeze(item) for item in value) if isinstance(value, list) else value


def case_from_json(row: dict[str, Any]) -> Case:
    """Builds a :class:`Case` from a JSON row; keys that this version does not know are dropped."""
    known = {field.name for field in fields(Case)}
    return Case(**{key: _freeze(value) for key, value in row.items() if key in known})
