"""Images and label maps of a data set by their keys, and what is wrong with the pairs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ...records import LeftOut


def by_key(
    found: Iterable[tuple[re.Match[str], Path]], key: Callable[[re.Match[str]], str]
) -> tuple[dict[str, Path], list[LeftOut]]:
    """Gives every file its key; of files with the same key the first is taken.

    Args:
        found: Files as :func:`~med3dinsight.datasets.public.tree.files` lists them.
        key: Takes the match of a file; returns what tells the scan from others.

    Returns:
        ``{key: path}`` in order, and the files whose key was taken.
    """
    paths: dict[str, Path] = {}
    doubles: list[LeftOut] = []
    for match, path in found:
        name = key(match)
        if name in paths:
            reason = f"{name} is there twice: {paths[name]} was taken"
            doubles.append(LeftOut(str(path), reason, "keep one copy of each file in the folder"))
        else:
            paths[name] = path
    return paths, doubles


def pair(
    images: Mapping[str, Path], labels: Mapping[str, Path], labelled: Callable[[str], bool]
) -> tuple[list[tuple[str, Path, Path | None]], list[LeftOut]]:
    """Gives every image its label map.

    Args:
        images: ``{key: image}``.
        labels: ``{key: label map}``.
        labelled: Says whether the data set has a label map for a key, so that one must be there.

    Returns:
        ``(key, image, label map or None)``, and the images whose label map is missing and the label maps without image.

    Example:
        >>> scans, problems = pair({"a": Path("a.nii"), "b": Path("b.nii")}, {"a": Path("a_seg.nii")}, lambda key: True)
        >>> [key for key, _, _ in scans], problems[0].reason
        (['a'], 'its label map is missing')
    """
    scans: list[tuple[str, Path, Path | None]] = []
    problems: list[LeftOut] = []
    for key, image in images.items():
        if key not in labels and labelled(key):
            hint = "download it again, or read the folder with `--layout folder` to do without labels"
            problems.append(LeftOut(str(image), "its label map is missing", hint))
        else:
            scans.append((key, image, labels.get(key)))
    for key in labels.keys() - images.keys():
        problems.append(LeftOut(str(labels[key]), "a label map whose image is missing", "download the image again"))
    return scans, sorted(problems, key=lambda problem: problem.file)
