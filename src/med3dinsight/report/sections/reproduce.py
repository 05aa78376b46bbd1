"""How to run it again: the study file, the command, and the versions."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from ..inputs import Inputs
from ..study_file import toml_text
from ..wording import listed

#: Packages whose version can change a number.
_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "monai", "nibabel", "SimpleITK", "transformers")


@dataclass(frozen=True)
class ReproduceSection:
    """The study as a TOML file (empty where there was none), and ``(name, version)`` of what computed it."""

    study: str
    versions: tuple[tuple[str, str], ...]


def reproduce_section(inputs: Inputs) -> ReproduceSection:
    """Describes how to come to the same page; versions are read without importing the packages."""
    ours = listed(sorted({record.version for record in inputs.records.values()}))
    rows = [("med3dinsight", ours), ("Python", platform.python_version()), ("Machine", platform.machine())]
    for name in _PACKAGES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return ReproduceSection(toml_text(inputs.document) if inputs.document else "", tuple(rows))
