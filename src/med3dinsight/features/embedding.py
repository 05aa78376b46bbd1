"""Running the frozen towers over slices and texts, each once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..records import SliceRef
from ..slices.pixels import in_proportion, slice_pixels
from ..towers.tower import TowerPair
from ..types import Progress
from ..workspace import feature_store
from ..workspace.files import read_json, write_json
from ..workspace.provenance import fingerprint
from ..workspace.voxel_store import VoxelStore


def embed_pictures(
    folder: Path, towers: TowerPair, store: VoxelStore, slices: list[SliceRef], progress: Progress
) -> NDArray[np.float16]:
    """Embeds every slice of the table as displayed; ``folder/image.npy``, one row a slice."""

    def compute(first: int, last: int) -> NDArray[np.float32]:
        return towers.embed_images([_picture(store, ref) for ref in slices[first:last]])

    voxels = {case.id: case.voxel_sha256 for case in store.cases.values()}
    identity = fingerprint(towers.identity, [ref.key for ref in slices], voxels)
    path = folder / "image.npy"
    feature_store.fill(path, len(slices), towers.image_width, identity, compute, progress)
    return feature_store.read(path)


def _picture(store: VoxelStore, ref: SliceRef) -> NDArray[np.uint8]:
    """A slice as displayed; towers resize it to a square, so that one of long voxels is made square before."""
    spacing = store.cases[ref.crop.case].spacing_mm
    across, down = (spacing[axis] for axis in range(3) if axis != ref.plane.axis)
    return in_proportion(slice_pixels(store.volume(ref.crop.case), ref), (down, across))


def embed_texts(
    folder: Path, captioner: str, towers: TowerPair, texts: list[str | None], progress: Progress
) -> NDArray[np.float16]:
    """Embeds the texts of a captioner; ``folder/CAPTIONER/text.npy``, one row a slice.

    The row of a slice without a text (None, ``null`` in ``texts.json``) is NaN, so that nothing can take it for one.

    A text that a finished file of these towers holds already is copied, not computed: the texts of the shuffled
    control cost nothing.
    """
    path, table = folder / captioner / "text.npy", folder / captioner / "texts.json"
    identity = fingerprint(towers.identity, texts)
    known = _known_texts(folder, towers.identity)
    no_text = np.full(towers.text_width, np.nan, dtype=np.float32)

    def compute(first: int, last: int) -> NDArray[np.float32]:
        wanted = texts[first:last]
        missing = list(dict.fromkeys(text for text in wanted if text is not None and text not in known))
        fresh = dict(zip(missing, towers.embed_texts(missing), strict=True)) if missing else {}
        found = {**known, **fresh}
        return np.stack([no_text if text is None else found[text] for text in wanted])

    feature_store.fill(path, len(texts), towers.text_width, identity, compute, progress)
    write_json(table, {"identity": identity, "towers": towers.identity, "texts": texts})
    return feature_store.read(path)


def _known_texts(folder: Path, towers_identity: str) -> dict[str, NDArray[np.float32]]:
    known: dict[str, NDArray[np.float32]] = {}
    for table in sorted(folder.glob("*/texts.json")):
        stored = read_json(table)
        if stored["towers"] == towers_identity and feature_store.is_complete(
            table.with_name("text.npy"), stored["identity"]
        ):
            features = np.asarray(feature_store.read(table.with_name("text.npy")), dtype=np.float32)
            pairs = zip(stored["texts"], features, strict=True)
            known.update((text, row) for text, row in pairs if text is not None)
    return known
