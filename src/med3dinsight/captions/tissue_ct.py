"""What a CT slice shows, by Hounsfield units alone: gas, fat, soft tissue, contrast medium, bone.

All limits are ours, set by looking at scans; none was learnt and no label was used. They hold for
pictures of 1 to 4 mm a pixel in a window that reaches from air to bone; a narrower window blurs the
difference between lung and bowel gas, and between contrast medium and bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..slices.outline import GAS_HU
from ..slices.rendering import SliceView
from ..types import Plane
from .regions import Region, closed, find_regions, grown, opened, pixel_cm2
from .wording import (
    body_fractions,
    count,
    graded,
    place,
    right_half,
    side,
    skin_sides,
    square_cm,
    symmetry,
    trunk_fractions,
)

FAT_LOW_HU, FAT_HIGH_HU, BRIGHT_HU = -200.0, -30.0, 130.0
#: Lung is grey, gas in the bowel or the airways is black: aerated lung rarely falls below this.
_BLACK_HU, _BLACK_SHARE, _LEAST_LUNG_CM2 = -940.0, 0.3, 8.0
#: Blood or an organ full of contrast medium is even; bone of the same density is not.
_EVEN_HU, _EVEN_SHARE, _METAL_HU = 26.0, 0.12, 900.0
_LEAST_POOL_CM2 = 1.2
#: Marrow may be as even as blood, but it does not get as bright.
_MARROW_HU = 300.0
#: Where the spine is in the body's box.
_SPINE_HALF_WIDTH, _SPINE_DEPTH = 0.065, 0.58
#: A bright spot with more gas than this around it is a vessel in the lung; a rib has a wall behind it.
_IN_LUNG_SHARE = 0.55
_THICK_FAT_MM, _SKIN_LAYERS = 60.0, 4


@dataclass(frozen=True)
class Tissues:
    """Masks ``(rows, columns)`` of one CT slice, inside the body, and its Hounsfield units."""

    hu: NDArray[np.float32]
    gas: NDArray[np.bool_]
    fat: NDArray[np.bool_]
    soft: NDArray[np.bool_]
    contrast: NDArray[np.bool_]
    bone: NDArray[np.bool_]


def find_tissues(view: SliceView) -> Tissues:
    """Sorts the pixels of a CT slice into tissues."""
    low, high = view.window
    hu = view.pixels.astype(np.float32) * np.float32((high - low) / 255.0) + np.float32(low)
    gas = view.body & (hu < max(GAS_HU, low + 0.015 * (high - low)))
    bright = view.body & (hu > BRIGHT_HU)
    contrast = _contrast_bright(hu, bright, view)
    # A pixel half gas, half tissue has the density of fat: the rim of every lung would be fat.
    rim = grown(gas | ~view.body)
    return Tissues(
        hu=hu,
        gas=gas,
        fat=view.body & ~rim & (hu > FAT_LOW_HU) & (hu < FAT_HIGH_HU),
        soft=view.body & ~gas & (hu >= FAT_HIGH_HU) & ~bright,
        contrast=contrast,
        bone=_without_lung_vessels(bright & ~contrast, gas),
    )


def _contrast_bright(hu: NDArray[np.float32], bright: NDArray[np.bool_], view: SliceView) -> NDArray[np.bool_]:
    if not bright.any():
        return bright
    mean = ndimage.uniform_filter(hu, 3)
    variance = ndimage.uniform_filter(hu * hu, 3) - mean * mean
    limit = np.maximum(_EVEN_HU, _EVEN_SHARE * mean)
    low, high = view.window
    # What a window cuts off is even too.
    ceiling = min(_METAL_HU, high - 0.02 * (high - low))
    core = bright & (variance < limit * limit) & (mean < ceiling) & (mean > BRIGHT_HU)
    regions, labels = find_regions(core, view, _LEAST_POOL_CM2)
    pools = [region.label for region in regions if not _may_be_marrow(hu[labels == region.label], region, view)]
    if not pools:
        return np.zeros_like(bright)
    core = np.isin(labels, pools)
    rows, columns = np.ogrid[: hu.shape[0], : hu.shape[1]]
    across, depth = trunk_fractions(view, rows, columns)
    off_middle = np.abs(across - 0.5)
    spine = (off_middle < _SPINE_HALF_WIDTH) & (depth > _SPINE_DEPTH)
    # In the inside of the trunk there is little bone: what is joined to a pool there belongs to it.
    inside = bright & (off_middle < 0.25) & (depth > 0.22) & (depth < _SPINE_DEPTH)
    joined, number = ndimage.label(inside | core)
    of_pool = np.zeros(number + 1, dtype=bool)
    of_pool[joined[core]] = True
    return of_pool[joined] | (grown(core, 3) & bright & ~spine)


def _may_be_marrow(values: NDArray[np.float32], region: Region, view: SliceView) -> bool:
    """Whether an even region lies where spine, breastbone or arms are, and is not brighter than marrow gets."""
    across, depth = trunk_fractions(view, region.row, region.column)
    off_middle = abs(across - 0.5)
    spine_or_breastbone = off_middle < _SPINE_HALF_WIDTH and not 0.3 < depth < 0.5
    return float(values.mean()) < _MARROW_HU and (spine_or_breastbone or off_middle > 0.35)


def _without_lung_vessels(bone: NDArray[np.bool_], gas: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, number = ndimage.label(bone)
    if number == 0 or not gas.any():
        return bone
    gas_around = ndimage.uniform_filter(gas.astype(np.float32), 7)
    share = np.bincount(labels.ravel(), weights=gas_around.ravel()) / np.maximum(np.bincount(labels.ravel()), 1)
    return bone & (share < _IN_LUNG_SHARE)[labels]


def describe_ct(view: SliceView) -> list[str]:
    """Returns what a CT slice shows, most telling first, as sentences without their full stops."""
    tissues = find_tissues(view)
    findings = [*_gas(view, tissues), *_contrast(view, tissues), *_bones(view, tissues)]
    findings += [*_solid(view, tissues), *_fat(view, tissues)]
    scale = np.where(view.body, np.clip((tissues.hu + 250.0) / 500.0, 0.0, 1.0), 0.0)
    findings.append(symmetry(view, scale.astype(np.float32)))
    missing = [word for word, mask in (("gas", tissues.gas), ("bone", tissues.bone)) if not mask.any()]
    return findings + ([f"no {' and no '.join(missing)}"] if missing else [])


def _gas(view: SliceView, tissues: Tissues) -> list[str]:
    regions, labels = find_regions(tissues.gas, view, 0.4)
    if not regions:
        return ["a few tiny gas bubbles"] if tissues.gas.any() else []
    black = np.bincount(labels[tissues.hu < _BLACK_HU], minlength=labels.max() + 1)
    grey = [region for region in regions if black[region.label] * pixel_cm2(view) < _BLACK_SHARE * region.area]
    lungs = grey if grey and grey[0].area >= _LEAST_LUNG_CM2 else []
    pockets = [region for region in regions if region not in lungs]
    findings = [_lungs(view, lungs, labels)] if lungs else []
    return findings + ([_pockets(view, pockets)] if pockets else [])


def _lungs(view: SliceView, lungs: list[Region], labels: NDArray[np.int32]) -> str:
    mask = np.isin(labels, [region.label for region in lungs])
    total = sum(region.area for region in lungs)
    size = graded(total, (30, 120), ("small", "mid-sized", "large"))
    extent = f"{lungs[0].height / 10:.0f} cm {'deep' if view.plane is Plane.AXIAL else 'tall'}"
    if view.plane is Plane.SAGITTAL:
        where = place(view, lungs[0].row, lungs[0].column)
        return f"{size} air-filled lung of {square_cm(total)}, {extent}, {where}"
    right = float(mask[:, right_half(view)].sum()) * pixel_cm2(view)
    left = total - right
    if min(right, left) < 0.06 * total:
        return f"{size} air-filled {'right' if right > left else 'left'} lung of {square_cm(total)}, {extent}"
    sizes = f"{square_cm(right)} right and {square_cm(left)} left, {extent}"
    if max(right, left) < 1.25 * min(right, left):
        return f"two {size} air-filled lungs, alike, {sizes}"
    return f"two air-filled lungs, more of the {'right' if right > left else 'left'}, {sizes}"


def _pockets(view: SliceView, pockets: list[Region]) -> str:
    largest = pockets[0]
    where = place(view, largest.row, largest.column)
    size = graded(largest.area, (3, 12), ("small", "mid-sized", "large"))
    if len(pockets) == 1:
        return f"one {size} gas pocket of {square_cm(largest.area)} {where}"
    return f"{count(len(pockets))} gas pockets, the largest {square_cm(largest.area)} {where}"


def _contrast(view: SliceView, tissues: Tissues) -> list[str]:
    regions, labels = find_regions(tissues.contrast, view, 1.0)
    if not regions:
        return []
    largest = regions[0]
    level = float(tissues.hu[labels == largest.label].mean())
    kind = "pool" if largest.area > 12 else "vessel or organ part"
    strength = "strongly contrast-bright" if level > 300 else "contrast-bright"
    first = f"{strength} {kind} of {square_cm(largest.area)} {place(view, largest.row, largest.column)}"
    more = f", {count(len(regions) - 1)} more" if len(regions) > 1 else ""
    return [first + more]


def _bones(view: SliceView, tissues: Tissues) -> list[str]:
    # Marrow may be as soft as muscle: closing joins the shell of a bone over it.
    regions, _ = find_regions(closed(tissues.bone, max(1, round(5.0 / min(view.spacing_mm)))), view, 0.3)
    large = [region for region in regions if region.area >= 4.0]
    small = regions[len(large) :]
    findings = [_large_bones(view, large)] if large else []
    if len(small) == 1:
        findings.append(f"one small bone-dense spot {place(view, small[0].row, small[0].column)}")
    elif small:
        sides = [side(view, region.row, region.column) for region in small]
        main = max(sorted(set(sides)), key=sides.count)
        where = f", mostly {main}" if main and sides.count(main) > 0.55 * len(sides) else ""
        findings.append(f"{count(len(small))} small bone-dense spots{where}")
    return findings


def _large_bones(view: SliceView, large: list[Region]) -> str:
    first = large[0]
    size, where = square_cm(first.area), place(view, first.row, first.column)
    down, across = body_fractions(view, first.row, first.column)
    if view.plane is Plane.SAGITTAL:
        back = [region for region in large if body_fractions(view, region.row, region.column)[1] > 0.5]
        if abs(view.body_position - 0.5) < 0.08 and sum(region.height for region in back) > 60:
            area, height = sum(region.area for region in back), max(region.height for region in back)
            return f"column of vertebrae down the back, {square_cm(area)}, {height / 10:.0f} cm tall"
    elif abs(across - 0.5) < 0.1 and (view.plane is Plane.CORONAL or down > 0.45):
        behind = view.plane is Plane.AXIAL or view.body_position < 0.55
        tall = first.height > min(70.0, 0.8 * view.pixels.shape[0] * view.spacing_mm[0])
        kind = "vertebra" if view.plane is Plane.AXIAL else "spine" if behind and tall else "midline bone"
        return f"{kind} of {size} {where}" + (f", {count(len(large) - 1)} more large" if len(large) > 1 else "")
    if len(large) == 1:
        return f"large bone of {size} {where}"
    second = large[1]
    others = f"{size} {where}, {square_cm(second.area)} {place(view, second.row, second.column)}"
    return f"{count(len(large))} large bones, {others}"


def _solid(view: SliceView, tissues: Tissues) -> list[str]:
    reach = max(1, round(8.0 / min(view.spacing_mm)))
    regions, labels = find_regions(opened(tissues.soft, reach), view, 12.0)
    findings = []
    for region in regions[:2]:
        values = tissues.hu[labels == region.label]
        level, spread = float(np.median(values)), float(values.std())
        kind = graded(level, (12, 80), ("fluid-dense", "soft-tissue", "bright soft-tissue"))
        texture = "even" if spread < 24 else "mixed"
        size = graded(region.area, (40, 120), ("medium", "large", "very large"))
        where = place(view, region.row, region.column)
        findings.append(f"{size} {texture} {kind} region of {square_cm(region.area)} {where}")
    return findings


def _fat(view: SliceView, tissues: Tissues) -> list[str]:
    body = float(view.body.sum())
    share = 100.0 * float(tissues.fat.sum()) / body
    amount = graded(share, (4, 15, 30, 50), ("hardly any", "little", "some", "much", "mostly"))
    findings = [f"{amount} fat ({share:.0f} percent)"]
    if skin_sides(view):
        findings.append(_fat_under_the_skin(view, tissues))
    return findings


def _fat_under_the_skin(view: SliceView, tissues: Tissues) -> str:
    depth = ndimage.distance_transform_cdt(view.body, metric="taxicab")
    inside = np.bincount(depth.ravel(), minlength=2)[1:]
    fat = np.bincount(depth[tissues.fat], minlength=inside.size + 1)[1:]
    fatty = fat >= 0.4 * np.maximum(inside, 1)
    # The skin itself comes first: one pixel, or some where the surface runs slantwise to the slice.
    first = np.flatnonzero(fatty[:_SKIN_LAYERS])
    if not first.size:
        return "hardly any fat under the skin"
    rest = np.flatnonzero(~fatty[first[0] :])
    layers = rest[0] if rest.size else fatty.size - first[0]
    # The outermost pixel is never counted as fat, whatever it is; mostly it is.
    thickness = (layers + 1) * min(view.spacing_mm)
    amount = f"{thickness:.0f} mm" if thickness < _THICK_FAT_MM else "a thick layer"
    return f"{amount} of fat under the skin"
