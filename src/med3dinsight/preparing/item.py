"""One scan: read, checked, windowed, resampled once, rounded to uint8, with its label map."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ..records import Case, Source
from ..types import Matrix4, Modality, Shape3, Vector3
from ..volumes.content import content_hash
from ..volumes.intensity import Window, choose_window, guess_modality, to_uint8
from ..volumes.reading import read_label, read_volume
from ..volumes.resampling import Grid, cube_grid, native_grid, resample, resample_labels
from ..volumes.volume import Volume, spacing_of
from ..workspace.voxel_hash import voxel_hash
from .config import PrepareConfig


@dataclass(frozen=True)
class Prepared:
    """A prepared scan, not stored yet.

    Attributes:
        case: Its row; ``offset`` is set when it is stored.
        voxels: ``(x, y, z)`` uint8 standing for [0, 1].
        label: ``(x, y, z)`` uint16 or None.
    """

    case: Case
    voxels: NDArray[np.uint8]
    label: NDArray[np.uint16] | None


def prepare_source(source: Source, config: PrepareConfig) -> Prepared:
    """Prepares one scan.

    Args:
        source: The scan, and its label map where it has one.
        config: Protocol, grid, window. A spacing "median" that no plan has turned into numbers is the median of
            this scan alone, which is its own.

    Raises:
        InputError: The scan or its label map cannot be used.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from med3dinsight.volumes.nifti import write_nifti
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     scan = Path(folder) / "scan.nii.gz"
        ...     write_nifti(scan, np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2.0, 2.0, 2.0, 1.0]))
        ...     config = PrepareConfig(source=folder, protocol="native", spacing_mm=1.0)
        ...     prepare_source(Source("scan", "anna", str(scan)), config).voxels.shape
        (6, 8, 10)
    """
    volume = read_volume(source.image, source.series, source.channel)
    known = _modality(source, volume, config)
    window = choose_window(volume.array, known[0], config.intensity_rules)
    label = read_label(source.label, volume) if source.label is not None else None
    shape = (volume.array.shape[0], volume.array.shape[1], volume.array.shape[2])
    grid = grid_for(shape, volume.spacing_mm, config)
    voxels = to_uint8(resample(volume.array, grid, (window.low, window.high)))
    label = None if label is None else resample_labels(label, grid)
    case = replace(
        _case(source, volume, grid, window, known),
        voxel_sha256=voxel_hash(voxels),
        has_label=label is not None,
        label_sha256="" if label is None else voxel_hash(label),
    )
    return Prepared(case, voxels, label)


def _case(source: Source, volume: Volume, grid: Grid, window: Window, modality: tuple[Modality, bool]) -> Case:
    """The row of a scan, but for what only its prepared voxels say."""
    affine = grid.affine(volume.affine)
    carried = {item.name: getattr(source, item.name) for item in fields(Source) if item.name != "modality"}
    return Case(
        **carried,
        modality=modality[0],
        modality_guessed=modality[1],
        shape=grid.shape,
        spacing_mm=spacing_of(affine),
        affine=_as_tuple(affine),
        source_shape=volume.source_shape,
        source_affine=_as_tuple(volume.source_affine),
        source_sha256=volume.sha256,
        voxel_sha256="",
        window=(window.low, window.high),
        offset=0,
        has_label=False,
        content_sha256=content_hash(volume.array),
        window_rule=window.rule,
        notes=volume.notes,
        picture_flags=volume.flags,
    )


def _modality(source: Source, volume: Volume, config: PrepareConfig) -> tuple[Modality, bool]:
    if config.modality != "auto":
        return config.modality, False
    known = volume.modality or source.modality
    return (known, False) if known is not None else (guess_modality(volume.array), True)


def grid_for(shape: Shape3, spacing_mm: Vector3, config: PrepareConfig) -> Grid:
    """Returns the grid that a scan of this shape and spacing is brought to.

    Raises:
        InputError: The scan is too thin for the cube, or the grid would be too large.
    """
    if config.protocol == "cube128":
        return cube_grid(shape, spacing_mm, config.cube_size)
    target = spacing_mm if isinstance(config.spacing_mm, str) else config.spacing_mm
    return native_grid(shape, spacing_mm, target)


def _as_tuple(affine: NDArray[np.float64]) -> Matrix4:
    return tuple(tuple(float(value) for value in row) for row in affine)
