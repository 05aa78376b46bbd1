"""The same person, or the same scan under another name, on two sides: found, and refused with the pair named.

A scan is known again by its subject, by its prepared voxels, and by the hash of its own voxels in RAS+ order, which is
the same whatever file, format or orientation it came in.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from ..errors import LeakageError
from ..records import Case

#: Hexadecimal digits of a content hash that are kept with weights: 64 bits, no two scans share them by chance.
CONTENT_DIGITS = 16


class CopiedScanWarning(UserWarning):
    """Two subjects of one side have the same scan: it counts twice."""


def content_key(case: Case) -> str:
    """Returns the short hash of a scan's own voxels; empty where the workspace does not hold it."""
    return case.content_sha256[:CONTENT_DIGITS]


def described(case: Case) -> str:
    """Names a case with its subject and its file.

    Where a folder holds several scans, its series and channel are told too.
    """
    part = f", series {case.series}" * bool(case.series) + f", channel {case.channel}" * (case.channel is not None)
    return f"{case.id} (subject {case.subject}, {case.image}{part})"


class Scans:
    """Cases that can be asked for the same scan under another name.

    Args:
        cases: The cases.
    """

    def __init__(self, cases: Iterable[Case]) -> None:
        self._by_key: dict[str, Case] = {}
        for case in cases:
            self.add(case)

    def add(self, case: Case) -> None:
        """Adds a case."""
        for key in _keys(case):
            self._by_key.setdefault(key, case)

    def copy_of(self, case: Case) -> Case | None:
        """Returns a case with the voxels of another one, prepared or as scanned; None where there is none."""
        return next((self._by_key[key] for key in _keys(case) if key in self._by_key), None)


def refuse_overlap(first: Iterable[Case], second: Iterable[Case], sides: tuple[str, str]) -> None:
    """Refuses a person, or a scan, that is on two sides.

    Args:
        first: Cases of one side.
        second: Cases of the other.
        sides: What the sides are called.

    Raises:
        LeakageError: A subject, or the same scan under two subjects, is on both; both cases are named.
    """
    cases = list(first)
    people, scans = {case.subject: case for case in reversed(cases)}, Scans(cases)
    for case in second:
        if (other := people.get(case.subject)) is not None:
            raise LeakageError(
                f"subject {case.subject} is on two sides of the split: {other.id} ({other.image}) for {sides[0]} and "
                f"{case.id} ({case.image}) for {sides[1]}",
                "name each subject once",
            )
        if (other := scans.copy_of(case)) is not None:
            raise LeakageError(
                f"{other.id} ({other.subject}) and {case.id} ({case.subject}) have the same voxels and are on two "
                f"sides of the split, {sides[0]} and {sides[1]}: {other.image} and {case.image}",
                "remove one of the files and prepare again, or name both subjects for one side",
            )


def warn_of_copies(cases: Iterable[Case], side: str) -> None:
    """Warns where two subjects of a side have the same scan.

    Warns:
        CopiedScanWarning: They have; both are named.
    """
    scans = Scans(())
    for case in cases:
        other = scans.copy_of(case)
        if other is not None and other.subject != case.subject:
            message = f"{described(other)} and {described(case)} have the same voxels: the scan counts twice for {side}"
            warnings.warn(message, CopiedScanWarning, stacklevel=3)
        scans.add(case)


def _keys(case: Case) -> list[str]:
    # Rows of earlier versions, and of tests, lack one or the other.
    keys = (("prepared", case.voxel_sha256), ("content", content_key(case)))
    return [f"{kind} {value}" for kind, value in keys if value]
