"""One scan as a worker hands it over: prepared, and already in the form that the store writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..records import Case, Source
from ..workspace.voxel_chunks import compress
from ..workspace.voxel_store_chunked import ChunkedWriter, remove_chunked
from ..workspace.voxel_store_flat import VoxelWriter, remove_flat
from .config import PrepareConfig
from .item import prepare_source


@dataclass(frozen=True)
class Packed:
    """A prepared scan, ready to be written.

    Attributes:
        case: Its row.
        voxels: ``(x, y, z)`` uint8 for the flat store, the content of its file for the chunked one.
        label: The same of its label map, or None.
    """

    case: Case
    voxels: Any
    label: Any


def pack_source(source: Source, config: PrepareConfig) -> Packed:
    """Prepares one scan and compresses it where its store does.

    This is the one function that workers run: what costs time is done here, not in the process that writes.

    Raises:
        InputError: The scan or its label map cannot be used.
    """
    prepared = prepare_source(source, config)
    if config.protocol == "cube128":
        return Packed(prepared.case, prepared.voxels, prepared.label)
    label = None if prepared.label is None else compress(prepared.label)
    return Packed(prepared.case, compress(prepared.voxels), label)


def open_writer(folder: Path, config: PrepareConfig) -> VoxelWriter | ChunkedWriter:
    """Opens the store of a protocol for writing; what the other kind of store left is removed.

    Rows of the other kind must be gone from the manifest before.
    """
    if config.protocol == "cube128":
        remove_chunked(folder)
        return VoxelWriter(folder)
    remove_flat(folder)
    return ChunkedWriter(folder)
