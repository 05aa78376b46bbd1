"""All cells in the order of their priority, in named blocks; the most informative come first."""

from __future__ import annotations

from typing import Any

from experiments.caption_noise import arms as caption_noise
from experiments.finetuned_longer import arms as finetuned_longer
from experiments.measuring import Arm
from experiments.methods_compared import arms as methods_compared
from experiments.psat_choices import arms as psat_choices

Cell = dict[str, Any]
POPULATION: Cell = {"experiment": "population", "arm": "everybody"}
_FIRST = (*methods_compared.MANY_SEEDS, "no_text")
_REST = tuple(name for name in methods_compared.ARMS if name not in ("scratch", *_FIRST, "random"))
_EXPERIMENTS = {module.NAME: module for module in (methods_compared, psat_choices, caption_noise, finetuned_longer)}


def arm_of(cell: Cell) -> Arm:
    """The arm that a cell names."""
    return _EXPERIMENTS[cell["experiment"]].ARMS[cell["arm"]]


def blocks() -> dict[str, list[Cell]]:
    """``{block: cells}``; a block is started when all before it have been."""
    compared, finetuned = methods_compared.cells, finetuned_longer.cells
    random = range(methods_compared.RANDOM_INITS)
    many = ("scratch", *methods_compared.MANY_SEEDS)
    return {
        "population": [POPULATION],
        "a1": compared("conv_tiny", ("scratch", *_FIRST), range(2)) + compared("conv_tiny", ("random",), random),
        "b": psat_choices.cells(range(2)),
        "c1": caption_noise.cells(range(1)),
        "c2": caption_noise.cells(range(1, 2)),
        "a3": compared("vit_tiny", _FIRST, range(2)) + compared("vit_tiny", ("random",), random),
        "f1": finetuned("conv_tiny", many, range(2)),
        "a2": compared("conv_tiny", _REST, range(2)),
        "a4": compared("conv_tiny", methods_compared.MANY_SEEDS, range(2, 5)),
        "f2": finetuned("conv_tiny", many, range(2, 5)),
        "a5": compared("vit_tiny", _REST, range(2)),
        "a6": compared("vit_tiny", methods_compared.MANY_SEEDS, range(2, 5)),
        "f3": finetuned("conv_tiny", ("no_text", *_REST), range(2)),
        "f4": finetuned("vit_tiny", many, range(2)),
        "f5": finetuned("vit_tiny", many, range(2, 5)),
    }


def smoke_cells() -> list[Cell]:
    """One cell of each kind, for a look whether everything runs."""
    kinds = [("methods_compared", arm) for arm in ("scratch", "random", "insight", "shuffled")]
    kinds += [("finetuned_longer", "insight")]
    kinds += [("psat_choices", "linear-k1"), ("caption_noise", "partial-ot-30")]
    rest = {"encoder": "conv_tiny", "fold": "chest", "seed": 0}
    return [{"experiment": experiment, "arm": arm, **rest} for experiment, arm in kinds]
