"""Cases that stay on this machine though their data set may leave it: there may be a name in their pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...records import Case
from ...volumes.dicom_flags import BURNED_IN, COLOUR, NOT_SAID, SECONDARY_CAPTURE, ULTRASOUND
from ..wording import counted
from .tripwire import find_burnt_in

#: Why a case is held back, by what its header says.
REASONS = {
    BURNED_IN: "its header says that there is writing in the pixels (BurnedInAnnotation)",
    SECONDARY_CAPTURE: "it is a secondary capture, a picture of a screen",
    ULTRASOUND: "it is ultrasound, whose pictures carry names as a rule",
    COLOUR: "it is a colour picture, as screens give them",
}


def reason_by_header(case: Case) -> str:
    """Says why a case is held back by what its source's header says; empty where it is not."""
    return next((reason for flag, reason in REASONS.items() if flag in case.picture_flags), "")


def reason_by_pixels(volume: NDArray[np.uint8]) -> str:
    """Says why a case is held back by its pixels; empty where it is not.

    Args:
        volume: ``(x, y, z)`` uint8, prepared.
    """
    found = find_burnt_in(volume)
    if found is None:
        return ""
    plane, pixels, slices = found.plane.name.lower(), found.num_pixels, found.num_slices
    return f"{pixels} bright pixels are the same in nearly all of its {slices} {plane} slices: burnt-in writing?"


def told_of(cases: Sequence[Case]) -> tuple[str, ...]:
    """Says, a sentence each, what a user should look at before slices leave: of how many scans the headers say nothing.

    Example:
        >>> told_of([])
        ()
    """
    silent = sum(NOT_SAID in case.picture_flags for case in cases)
    unknown = sum("unknown" in case.picture_flags for case in cases)
    told = []
    if silent:
        told.append(
            f"the headers of {counted(silent, 'DICOM scan')} do not say whether there is writing in the pixels: "
            "look at some slices"
        )
    if unknown:
        told.append(
            f"{counted(unknown, 'scan was', 'scans were')} prepared by an earlier version, which did not read whether "
            "DICOM headers say that there is writing in the pixels: prepare again, or look at some slices"
        )
    return tuple(told)
