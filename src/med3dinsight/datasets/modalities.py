"""What data sets call a modality, and which of ours it is."""

from __future__ import annotations

import re

from ..types import Modality

_CT = frozenset({"ct", "cta", "cect", "ncct", "ldct", "cbct"})
_MR = frozenset(
    {
        *("mr", "mri", "cmr", "mra", "mrt", "t1", "t1w", "t1c", "t1ce", "t1gd", "t1n", "t1map", "unit1", "inplanet1"),
        *("t2", "t2w", "t2f", "t2map", "t2star", "t2starw", "inplanet2", "flair", "pd", "pdw", "pdt2", "pdmap"),
        *("adc", "dwi", "dti", "swi", "swan", "mtw", "mtr", "angio"),
    }
)


def modality_of(word: str) -> Modality | None:
    """Returns "ct" or "mr" for the name that a data set gives to a modality, sequence or channel, else None.

    Example:
        >>> [modality_of(word) for word in ("CT", "mp-MRI T2w", "FLAIR", "channel")]
        ['ct', 'mr', 'mr', None]
    """
    words = {part for part in re.split(r"[^a-z0-9]+", word.lower()) if part}
    ours, theirs = bool(words & _CT), bool(words & _MR)
    return None if ours == theirs else ("ct" if ours else "mr")
