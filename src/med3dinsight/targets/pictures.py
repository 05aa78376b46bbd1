"""Features of slices as displayed, each picture shown to the tower once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..records import SliceRef
from ..slices.pixels import in_proportion, slice_pixels
from ..towers.tower import TowerPair
from ..workspace.feature_memo import FeatureMemo, content_key
from ..workspace.provenance import fingerprint
from ..workspace.voxel_store import VoxelStore

#: Version of how a slice becomes a picture.
PICTURE_VERSION = 1


def picture_features(
    towers: TowerPair, store: VoxelStore, memo: FeatureMemo, slices: Sequence[SliceRef]
) -> NDArray[np.float16]:
    """Returns the image features of slices, ``(n, d)``; those that the memo lacks are computed and added to it.

    Slices that show the same picture, as all that lie in the padding do, are computed once.

    Args:
        towers: Frozen.
        store: Voxels; of slices that the memo knows none are read.
        memo: Of these towers.
        slices: Any.
    """
    keys = [slice_key(store, ref) for ref in slices]
    shown = memo.pictures_of(keys)
    found = memo.find("image", set(shown.values()))
    pictures: dict[bytes, NDArray[np.uint8]] = {}
    for key, ref in zip(keys, slices, strict=True):
        if shown.get(key) not in found:
            picture = picture_of(store, ref)
            shown[key] = picture_key(picture)
            pictures[shown[key]] = picture
    found.update(memo.find("image", pictures))
    if missing := {content: picture for content, picture in pictures.items() if content not in found}:
        computed = towers.embed_images(list(missing.values())).astype(np.float16)
        memo.add("image", dict(zip(missing, computed, strict=True)), shown)
        found.update(memo.find("image", missing))
    elif pictures:
        memo.add("image", {}, shown)
    return np.stack([found[shown[key]] for key in keys])


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
