"""Features of slices as displayed, each picture shown to the tower once."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..records import SliceRef
from ..slices.pixels import in_proportion, slice_pixels
from ..towers.tower import TowerPair
from ..workspace.feature_memo import FeatureMemo, content_key
from ..workspace.provenance import fingerprint
from ..workspace.voxel_store import VoxelStore
from .batches import EmbedEach, here

#: Version of how a slice becomes a picture.
PICTURE_VERSION = 1


@dataclass(frozen=True)
class _Plan:
    """What a chunk of slices shows, and which of its pictures are still to be embedded."""

    keys: list[bytes]
    shown: dict[bytes, bytes]
    missing: dict[bytes, NDArray[np.uint8]]


def picture_blocks(
    embed_each: EmbedEach, store: VoxelStore, memo: FeatureMemo, chunks: Iterable[Sequence[SliceRef]]
) -> Iterator[NDArray[np.float16]]:
    """Yields the image features of chunks of slices, ``(n, d)`` each; those that the memo lacks are added to it.

    Slices that show the same picture, as all that lie in the padding do, are embedded once. What is embedded together
    does not depend on how many chunks are in work at a time.

    Args:
        embed_each: Embeds the batches of pictures that are missing.
        store: Voxels; of slices that the memo knows none are read.
        memo: Of the towers that embed.
        chunks: Slices.
    """
    plans: deque[_Plan] = deque()
    in_work: set[bytes] = set()

    def batches() -> Iterator[list[NDArray[np.uint8]]]:
        for slices in chunks:
            plan = _plan(store, memo, slices, in_work)
            plans.append(plan)
            in_work.update(plan.missing)
            yield list(plan.missing.values())

    for computed in embed_each(batches()):
        plan = plans.popleft()
        memo.add("image", dict(zip(plan.missing, computed, strict=True)), plan.shown)
        in_work.difference_update(plan.missing)
        found = memo.find("image", set(plan.shown.values()))
        yield np.stack([found[plan.shown[key]] for key in plan.keys])


def _plan(store: VoxelStore, memo: FeatureMemo, slices: Sequence[SliceRef], in_work: Container[bytes]) -> _Plan:
    keys = [slice_key(store, ref) for ref in slices]
    shown = memo.pictures_of(keys)
    found = memo.find("image", set(shown.values()))
    pictures: dict[bytes, NDArray[np.uint8]] = {}
    for key, ref in zip(keys, slices, strict=True):
        if shown.get(key) not in found and shown.get(key) not in in_work:
            picture = picture_of(store, ref)
            shown[key] = picture_key(picture)
            pictures[shown[key]] = picture
    known = memo.find("image", pictures)
    missing = {name: picture for name, picture in pictures.items() if name not in known and name not in in_work}
    return _Plan(keys, shown, missing)


def picture_features(
    towers: TowerPair, store: VoxelStore, memo: FeatureMemo, slices: Sequence[SliceRef]
) -> NDArray[np.float16]:
    """Returns the image features of slices, ``(n, d)``, embedded in this process: see :func:`picture_blocks`."""
    return next(picture_blocks(here(towers, "image"), store, memo, [slices]))


def slice_key(store: VoxelStore, ref: SliceRef) -> bytes:
    """Names a slice by the voxels it is cut from."""
    case, crop = store.cases[ref.crop.case], ref.crop
    place = fingerprint(PICTURE_VERSION, case.voxel_sha256, crop.origin, crop.size, int(ref.plane), ref.index)
    return content_key(place.encode(), repr(_pixel_mm(store, ref)).encode())


def picture_key(picture: NDArray[np.uint8]) -> bytes:
    """Names a picture by its pixels."""
    return content_key(repr(picture.shape).encode(), picture.tobytes())


def picture_of(store: VoxelStore, ref: SliceRef) -> NDArray[np.uint8]:
    """A slice as displayed; towers resize it to a square, so that one of long voxels is made square before."""
    return in_proportion(slice_pixels(store.volume(ref.crop.case), ref), _pixel_mm(store, ref))


def _pixel_mm(store: VoxelStore, ref: SliceRef) -> tuple[float, float]:
    """Height and width of a slice's pixels."""
    spacing = store.cases[ref.crop.case].spacing_mm
    across, down = (float(spacing[axis]) for axis in range(3) if axis != ref.plane.axis)
    return down, across
