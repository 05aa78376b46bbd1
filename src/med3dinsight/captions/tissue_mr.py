"""What an MR slice shows, by brightness alone: dark, intermediate and bright tissue.

MR intensities have no unit and mean another tissue in each sequence, so no tissue is named: only
how bright it is in the window the scan was prepared with, how much of it there is, and where.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..slices.rendering import SliceView
from .regions import find_regions, opened
from .wording import COLUMN_NAMES, ROW_NAMES, count, graded, on_sides, place, skin_sides, square_cm, symmetry

#: Limits on the scale of 0 (dark end of the window) to 1.
DARK, BRIGHT = 0.3, 0.6
#: Regions are reported from this area on; a head is small beside a trunk.
_LEAST_CM2 = 2.0
#: A bright layer under the surface is looked for this deep.
_RIM_MM = 33.0


def describe_mr(view: SliceView) -> list[str]:
    """Returns what an MR slice shows, most telling first, as sentences without their full stops."""
    scale = view.pixels.astype(np.float32) / np.float32(255.0)
    dark, bright = view.body & (scale < DARK), view.body & (scale > BRIGHT)
    middle = view.body & ~dark & ~bright
    body = float(view.body.sum())
    findings = []
    kinds = (("dark", dark), ("bright", bright), ("intermediate", middle))
    for name, mask in sorted(kinds, key=lambda kind: -int(kind[1].sum())):
        findings.append(_regions(view, name, mask, 100.0 * float(mask.sum()) / body))
    findings += [_rim(view, bright), _texture(view, scale), *_gradients(view, scale)]
    findings.append(symmetry(view, np.where(view.body, scale, np.float32(0.0))))
    return findings


def _regions(view: SliceView, name: str, mask: NDArray[np.bool_], share: float) -> str:
    regions, _ = find_regions(opened(mask, max(1, round(2.5 / min(view.spacing_mm)))), view, _LEAST_CM2)
    amount = graded(share, (3, 15, 35, 60), ("hardly any", "little", "some", "much", "mostly"))
    tissue = f"{amount} {name} tissue ({share:.0f} percent)"
    if not regions:
        return tissue
    largest = regions[0]
    shape = graded(largest.height / largest.width, (0.6, 1.7), ("wide", "compact", "tall"))
    size, where = square_cm(largest.area), place(view, largest.row, largest.column)
    if len(regions) == 1:
        return f"{tissue}, one {shape} region of {size} {where}"
    second = regions[1]
    next_one = f"{square_cm(second.area)} {place(view, second.row, second.column)}"
    return f"{tissue} in {count(len(regions))} regions, {size} {shape} {where}, {next_one}"


def _rim(view: SliceView, bright: NDArray[np.bool_]) -> str:
    if not skin_sides(view):
        return ""
    depth = ndimage.distance_transform_cdt(view.body, metric="taxicab")
    layers = max(1, round(_RIM_MM / min(view.spacing_mm)))
    inside = np.bincount(depth.ravel(), minlength=layers + 1)[1 : layers + 1]
    lit = np.bincount(depth[bright], minlength=layers + 1)[1 : layers + 1]
    bright_layers = int(np.sum(np.cumprod((lit[1:] > 0.5 * inside[1:]) & (inside[1:] > 0))))
    if bright_layers + 1 >= layers:  # bright all the way in is no rim
        return ""
    width = (bright_layers + 1) * min(view.spacing_mm)
    return f"bright rim of {width:.0f} mm under the surface" if bright_layers else "no bright rim"


def _texture(view: SliceView, scale: NDArray[np.float32]) -> str:
    steps = np.abs(np.diff(scale, axis=1))[view.body[:, 1:] & view.body[:, :-1]]
    roughness = float(steps.mean()) if steps.size else 0.0
    return graded(roughness, (0.05, 0.1), ("smooth", "patterned", "strongly patterned")) + " texture"


def _gradients(view: SliceView, scale: NDArray[np.float32]) -> list[str]:
    rows, columns = np.nonzero(view.body)
    values = scale[rows, columns]
    parts = []
    for places, names in ((rows, ROW_NAMES[view.plane]), (columns, COLUMN_NAMES[view.plane])):
        first = places < np.median(places)
        difference = float(values[first].mean() - values[~first].mean()) if first.any() and not first.all() else 0.0
        if abs(difference) > 0.05:
            parts.append(names[0] if difference > 0 else names[2])
    return [f"brighter {on_sides(parts)}"] if parts else []
