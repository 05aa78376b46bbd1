"""Whom weights have seen: written into the files of weights themselves, so that it is told wherever they go.

A file of weights that this package writes holds the facts of its run as safetensors metadata, under one key, as JSON:
those of ``encoder.json``, or of a fine-tuned model whom it was trained on. Comes up without torch.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..datasets.leakage import Scans, content_key, described
from ..records import Case
from ..workspace.files import read_json
from .file_kinds import SAFETENSORS

#: The key of the facts in a file's metadata.
METADATA = "med3dinsight"
KNOWN, UNKNOWN = "known", "unknown"


class UnknownPeopleWarning(UserWarning):
    """Weights do not tell whom they have seen, so that nobody can be kept apart from them."""


@dataclass(frozen=True)
class Seen:
    """Whom weights have seen.

    Attributes:
        subjects: Names, as far as they are known.
        voxel_sha256: Hashes of prepared voxels, as far as they are known.
        known: Whether these are all.
        content_sha256: First 16 digits of the hashes of the scans' own voxels, as far as they are known.
    """

    subjects: frozenset[str] = frozenset()
    voxel_sha256: frozenset[str] = frozenset()
    known: bool = True
    content_sha256: frozenset[str] = frozenset()

    def and_cases(self, cases: Iterable[Case]) -> Seen:
        """Returns whom weights have seen that have learned from some cases besides."""
        learned = list(cases)
        return Seen(
            self.subjects | {case.subject for case in learned},
            self.voxel_sha256 | {case.voxel_sha256 for case in learned},
            self.known,
            self.content_sha256 | {key for case in learned if (key := content_key(case))},
        )

    def has_seen(self, case: Case) -> bool:
        """Whether a case was seen: its person, its prepared voxels, or the scan under any name."""
        return (
            case.subject in self.subjects
            or case.voxel_sha256 in self.voxel_sha256
            or content_key(case) in self.content_sha256
        )

    def sighting(self, case: Case, cases: Iterable[Case] = ()) -> str:
        """Says how a case that was seen is known, and under which name where that is among some cases."""
        if case.subject in self.subjects:
            return f"its subject is among those seen; the file is {case.image}"
        twin = Scans(other for other in cases if other.subject in self.subjects).copy_of(case)
        name = "under another subject" if twin is None else f"as {described(twin)}"
        return f"its voxels were seen {name}; the file is {case.image}"

    def as_json(self) -> dict[str, Any]:
        """Returns ``{"seen": "known" or "unknown", "subjects", "voxel_sha256", "content_sha256"}``, for files."""
        return {
            "seen": KNOWN if self.known else UNKNOWN,
            "subjects": sorted(self.subjects),
            "voxel_sha256": sorted(self.voxel_sha256),
            "content_sha256": sorted(self.content_sha256),
        }


def facts_of(weights: Path) -> dict[str, Any] | None:
    """Returns the facts that a file of weights holds, else those of ``encoder.json`` beside ``encoder.safetensors``.

    None for weights that tell nothing: those of others, and files that cannot be read, which loading refuses.
    """
    if weights.suffix == SAFETENSORS and weights.is_file():
        try:
            with safe_open(weights, framework="np") as file:
                told = json.loads((file.metadata() or {}).get(METADATA, "null"))
        except (SafetensorError, ValueError):
            return None
        if isinstance(told, dict):
            return told
    beside = weights.with_name("encoder.json")
    return read_json(beside) if weights.name == "encoder.safetensors" and beside.is_file() else None


def seen_in(facts: Mapping[str, Any] | None) -> Seen:
    """Returns whom weights have seen by their facts."""
    if facts is None or "subjects" not in facts:
        return Seen(known=False)
    subjects, hashes = frozenset(facts["subjects"]), frozenset(facts.get("voxel_sha256", ()))
    return Seen(subjects, hashes, facts.get("seen", KNOWN) == KNOWN, frozenset(facts.get("content_sha256", ())))


def warn_where_unknown(seen: Seen, weights: str) -> None:
    """Warns where weights do not tell whom they have seen.

    Warns:
        UnknownPeopleWarning: They do not.
    """
    if not seen.known:
        message = f"nothing tells whom the weights {weights} have seen: people who are tested may be among them"
        warnings.warn(message, UnknownPeopleWarning, stacklevel=3)
