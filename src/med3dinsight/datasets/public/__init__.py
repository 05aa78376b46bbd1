"""Public data sets by name, as they lie on the disk after their download; one short file each."""

from __future__ import annotations

from ..layout import Layout
from . import (
    abdomenct1k,
    acdc,
    adni_seg,
    bimcv_r,
    brats,
    chaos_ct,
    ct_rate,
    lits,
    mmwhs,
    msd_tasks,
    oasis1_seg,
    oasis2_cls,
    openmind,
    threedseg8,
    vs_seg,
)

#: In the order in which they are tried; ``{name: layout}``, each with its facts.
DATASETS: dict[str, Layout] = {
    "mmwhs_ct": mmwhs.CT,
    "mmwhs_mr": mmwhs.MR,
    "chaos_ct": chaos_ct.LAYOUT,
    "oasis1_seg": oasis1_seg.LAYOUT,
    "oasis2_cls": oasis2_cls.LAYOUT,
    "3dseg8": threedseg8.LAYOUT,  # before its tasks: a folder of several is all of them
    **msd_tasks.LAYOUTS,
    "lits": lits.LAYOUT,
    "abdomenct1k": abdomenct1k.LAYOUT,
    "vs_seg": vs_seg.LAYOUT,
    "adni_seg": adni_seg.LAYOUT,
    "acdc": acdc.LAYOUT,
    "ct_rate": ct_rate.LAYOUT,
    "bimcv_r": bimcv_r.LAYOUT,
    "openmind": openmind.LAYOUT,
    "brats": brats.LAYOUT,
}
