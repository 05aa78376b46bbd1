"""Running the frozen towers over slices and texts, each once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..records import SliceRef
from ..targets.batches import EmbedEach
from ..targets.by_crop import CropFeatures
from ..targets.loading import DRAWN
from ..targets.pictures import picture_blocks
from ..towers.tower import TowerPair
from ..types import Progress
from ..workspace import Workspace, feature_store
from ..workspace.feature_memo import FeatureMemo, content_key
from ..workspace.files import read_json, write_json
from ..workspace.provenance import RECORD, fingerprint
from ..workspace.voxel_store import VoxelStore
from .config import EmbedConfig
from .drawing import Sample, embed_sample
from .side_by_side import embedder


def embed_all(
    config: EmbedConfig,
    workspace: Workspace,
    towers: TowerPair,
    store: VoxelStore,
    slices: list[SliceRef],
    texts: list[str | None],
    people: list[str],
    progress: Progress,
) -> Sample:
    """Embeds the whole slice table into files; returns all of it."""
    folder, total, later = workspace.features / config.folder, 2 * len(slices), len(slices)
    with FeatureMemo(workspace.features, towers.identity) as memo:
        images = embed_pictures(
            folder,
            towers,
            embedder(config, towers, "image"),
            memo,
            store,
            slices,
            lambda done, _, note="": progress(done, total, note),
        )
        told = embed_texts(
            folder,
            config.captioner,
            towers,
            embedder(config, towers, "text"),
            memo,
            texts,
            lambda done, _, note="": progress(later + done, total, note),
        )
    return Sample(list(range(len(slices))), images, told)


def embed_drawn(
    config: EmbedConfig,
    workspace: Workspace,
    towers: TowerPair,
    store: VoxelStore,
    slices: list[SliceRef],
    texts: list[str | None],
    people: list[str],
    progress: Progress,
) -> Sample:
    """Embeds a sample into the memo alone, and notes whose features are computed on demand; returns the sample."""
    folder = workspace.features / config.folder
    with FeatureMemo(workspace.features, towers.identity) as memo:
        _remember_finished(folder, towers.identity, memo)
    features = CropFeatures(workspace.features, towers.identity, lambda: towers, store, slices, texts)
    sample = embed_sample(config, features, towers.text_width, texts, people, progress)
    write_json(folder / config.captioner / DRAWN, {"towers": towers.identity})
    return sample


def forget_others(folder: Path, towers_identity: str) -> None:
    """Takes away the records of other captioners whose features are of other towers than are now kept there.

    All captioners of a folder share its ``image.npy``: what was fitted to the earlier one has to be embedded again.

    Args:
        folder: Of the captioner that is embedded now.
        towers_identity: Of its towers.
    """
    for table in folder.parent.glob("*/texts.json"):
        if table.parent != folder and read_json(table)["towers"] != towers_identity:
            (table.parent / RECORD).unlink(missing_ok=True)


def embed_pictures(
    folder: Path,
    towers: TowerPair,
    embed_each: EmbedEach,
    memo: FeatureMemo,
    store: VoxelStore,
    slices: list[SliceRef],
    progress: Progress,
) -> NDArray[np.float16]:
    """Embeds every slice of the table as displayed; ``folder/image.npy``, one row a slice."""

    def compute(chunks: Iterable[tuple[int, int]]) -> Iterator[NDArray[np.float16]]:
        return picture_blocks(embed_each, store, memo, (slices[first:last] for first, last in chunks))

    voxels = {case.id: case.voxel_sha256 for case in store.cases.values()}
    identity = fingerprint(towers.identity, [ref.key for ref in slices], voxels)
    path = folder / "image.npy"
    feature_store.fill(path, len(slices), towers.image_width, identity, compute, progress)
    return feature_store.read(path)


def embed_texts(
    folder: Path,
    captioner: str,
    towers: TowerPair,
    embed_each: EmbedEach,
    memo: FeatureMemo,
    texts: list[str | None],
    progress: Progress,
) -> NDArray[np.float16]:
    """Embeds the texts of a captioner; ``folder/CAPTIONER/text.npy``, one row a slice.

    The row of a slice without a text (None, ``null`` in ``texts.json``) is NaN, so that nothing can take it for one.

    A text that a finished file of these towers held when this one was begun is copied, not computed: the texts of the
    shuffled control cost nothing. Texts of this file are not: a text tower's last bits depend on the texts beside it,
    and after a kill the same ones must come out.
    """
    path, table = folder / captioner / "text.npy", folder / captioner / "texts.json"
    identity = fingerprint(towers.identity, texts)
    _remember_finished(folder, towers.identity, memo)

    def compute(chunks: Iterable[tuple[int, int]]) -> Iterator[NDArray[np.float16]]:
        return _text_blocks(embed_each, memo, (texts[first:last] for first, last in chunks), towers.text_width)

    feature_store.fill(path, len(texts), towers.text_width, identity, compute, progress)
    write_json(table, {"identity": identity, "towers": towers.identity, "texts": texts})
    return feature_store.read(path)


def _text_blocks(
    embed_each: EmbedEach, memo: FeatureMemo, chunks: Iterable[Sequence[str | None]], width: int
) -> Iterator[NDArray[np.float16]]:
    """Yields the features of chunks of texts; within a chunk, those that the memo lacks are computed once."""
    waiting: deque[tuple[Sequence[str | None], list[str], dict[str, NDArray[np.float16]]]] = deque()
    nothing = np.full(width, np.nan, dtype=np.float16)

    def batches() -> Iterator[list[str]]:
        for chunk in chunks:
            keys = {text: content_key(text.encode()) for text in chunk if text is not None}
            known = memo.find("text", keys.values())
            found = {text: known[key] for text, key in keys.items() if key in known}
            missing = [text for text in keys if text not in found]
            waiting.append((chunk, missing, found))
            yield missing

    for computed in embed_each(batches()):
        chunk, missing, found = waiting.popleft()
        found.update(zip(missing, computed, strict=True))
        yield np.stack([nothing if text is None else found[text] for text in chunk])


def _remember_finished(folder: Path, towers_identity: str, memo: FeatureMemo) -> None:
    """Takes the texts of all finished files of these towers into the memo."""
    for table in sorted(folder.glob("*/texts.json"), reverse=True):
        stored, path = read_json(table), table.with_name("text.npy")
        if stored["towers"] == towers_identity and feature_store.is_complete(path, stored["identity"]):
            pairs = zip(stored["texts"], feature_store.read(path), strict=True)
            memo.add("text", {content_key(text.encode()): row for text, row in pairs if text is not None})
