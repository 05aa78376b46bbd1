"""Organs that are boxes, as they are stored and as they are predicted, and the scores of runs that drew them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from med3dinsight.evaluation.config import EvaluateConfig
from med3dinsight.evaluation.run import run

VOLUME = (8, 8, 8)


def label(**boxes: tuple[slice, ...]) -> Any:
    """A stored label map with values as in the case's table."""
    values = {"liver": 5, "lung_left": 10, "lung_right": 11, "aorta": 52}
    array = np.zeros(VOLUME, np.uint16)
    for name, box in boxes.items():
        array[box] = values[name]
    return array


def indices(liver: tuple[slice, ...] | None = None, lung: tuple[slice, ...] | None = None) -> Any:
    """A predicted map of class indices."""
    array = np.zeros(VOLUME, np.uint8)
    if liver is not None:
        array[liver] = 1
    if lung is not None:
        array[lung] = 2
    return array


def slab(low: int, high: int) -> tuple[slice, ...]:
    return (slice(2, 6), slice(2, 6), slice(low, high))


def scores_of(bench: Any, config: EvaluateConfig | None = None) -> Any:
    result = run(config or EvaluateConfig(), bench.workspace)
    document = json.loads(Path(result.scores).read_text())
    assert document["comparisons"] == result.comparisons
    return document
