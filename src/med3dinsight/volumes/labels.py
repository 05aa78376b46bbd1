"""Label tables: what the values of a label map are called, and which values make up a class.

A class is ``{"name": "lung", "match": ["lung_*"]}``: every value whose name fits one of the patterns
belongs to it, and every value that is listed as a number. Class 1 is the first of the list, 0 the rest.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, InputError
from . import nifti

LabelNames = Sequence[tuple[int, str]]
#: Number of values that a label map can hold.
NUM_VALUES = 1 << 16
#: Number of classes that a class map can hold, background included.
MAX_CLASSES = 1 << 8


def read_label_names(path: Path) -> tuple[tuple[int, str], ...]:
    """Reads the names of a label map's values: ``<name>.json`` beside it, else the table in its own header.

    Args:
        path: The label map; for ``liver.nii.gz`` the table is ``liver.json``, ``{"1": "liver", ...}``.

    Returns:
        ``((value, name), ...)`` by value; empty where there is no table.

    Raises:
        InputError: The table is not of that form.
    """
    table = path.with_name(path.name[: -len(_suffix(path))] + ".json")
    if not table.exists():
        names = nifti.embedded_names(path) if path.name.lower().endswith(nifti.SUFFIXES) else {}
        return tuple(sorted(names.items()))
    try:
        rows = json.loads(table.read_text(encoding="utf-8"))
        return tuple(sorted((int(value), str(name)) for value, name in rows.items()))
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{table.name} is no label table: {error}", 'write {"1": "liver", "2": "spleen"}') from None


def _suffix(path: Path) -> str:
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix


def write_label_names(names: Mapping[int, str]) -> bytes:
    """Returns the content of a label table's file; :func:`read_label_names` reads it."""
    return (json.dumps({str(value): names[value] for value in sorted(names)}, indent=1) + "\n").encode()


def class_map(
    label_names: LabelNames, classes: Sequence[Mapping[str, Any]], values_present: Iterable[int] = ()
) -> NDArray[np.uint8]:
    """Returns the table that turns label values into classes: ``class_map(...)[label]``.

    Args:
        label_names: ``((value, name), ...)`` of the case.
        classes: ``[{"name": ..., "match": [patterns or values]}, ...]``.
        values_present: Values in the label map; only needed to notice a map without names.

    Returns:
        ``(65536,)`` uint8; 0 is background, ``k`` the ``k``-th class of the list.

    Raises:
        ConfigError: A value belongs to two classes, or there are too many classes.
        InputError: The label map has values but no names, and no class lists a value.

    Example:
        >>> names = ((5, "liver"), (10, "lung_left"), (11, "lung_right"))
        >>> lookup = class_map(names, [{"name": "lung", "match": ["lung_*"]}, {"name": "liver", "match": [5]}])
        >>> lookup[[0, 5, 10, 11]].tolist()
        [0, 2, 1, 1]
    """
    if len(classes) >= MAX_CLASSES:
        raise ConfigError(f"{len(classes)} classes", f"at most {MAX_CLASSES - 1} classes are possible")
    listed = any(isinstance(entry, int) for item in classes for entry in item["match"])
    if not label_names and not listed and any(values_present):
        raise InputError(
            "a label map has no table of names, and the classes list no values",
            'put a table beside it ({"1": "liver"}), or match by value',
        )
    lookup = np.zeros(NUM_VALUES, dtype=np.uint8)
    for position, item in enumerate(classes, start=1):
        for value in _values_of(item, label_names):
            if lookup[value] not in (0, position):
                other = classes[int(lookup[value]) - 1]["name"]
                raise ConfigError(f"label {value} belongs to {other} and to {item['name']}", "narrow the patterns")
            lookup[value] = position
    return lookup


def annotated_classes(
    label_names: LabelNames, classes: Sequence[Mapping[str, Any]], values_present: Iterable[int] = ()
) -> tuple[bool, ...]:
    """Says for each class whether the label map was drawn with it in mind.

    A table of names lists what was annotated: a class with no name in it was not looked for, so that
    its voxels hide in the background. A map without a table counts as annotated for every class.

    Example:
        >>> classes = [{"name": "heart", "match": ["heart"]}, {"name": "liver", "match": ["liver"]}]
        >>> annotated_classes(((1, "heart"),), classes)
        (True, False)
    """
    if not label_names:
        return (True,) * len(classes)
    known = {value for value, _ in label_names} | {int(value) for value in values_present}
    return tuple(bool(known & _values_of(item, label_names)) for item in classes)


def _values_of(item: Mapping[str, Any], label_names: LabelNames) -> set[int]:
    values = {entry for entry in item["match"] if isinstance(entry, int)}
    patterns = [entry for entry in item["match"] if not isinstance(entry, int)]
    values |= {value for value, name in label_names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}
    outside = [value for value in values if not 0 < value < NUM_VALUES]
    if outside:
        raise ConfigError(f"class {item['name']} lists label {outside[0]}", "labels are whole numbers 1 to 65535")
    return values
