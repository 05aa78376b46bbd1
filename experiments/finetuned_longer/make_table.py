"""Prints the tables and writes expected.csv: ``python -m experiments.finetuned_longer.make_table WORK``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from experiments.finetuned_longer.arms import ARMS, NAME, SCHEDULE
from experiments.plan import blocks
from experiments.tables import DICE, Results, compare, difference_table, markdown, write_csv

FOLDS = ("chest", "abdomen")
#: (arm's baseline, arms that are compared with it).
QUESTIONS = (
    ("scratch", tuple(name for name in ARMS if name != "scratch")),
    ("shuffled", ("insight",)),
    ("no_text", ("insight",)),
    ("mae", ("insight",)),
)


def main(work: Path) -> None:
    results = Results(work, [cell for cells in blocks().values() for cell in cells if cell["experiment"] == NAME])
    print("written:", write_csv(Path(__file__).parent, results))
    for encoder in SCHEDULE:
        print(f"\n### {encoder}: mean Dice\n\n{means(results, encoder)}")
        for real in (True, False):
            print(f"\n### {encoder}: paired differences, {'real person' if real else 'SIMULATED people'}\n")
            print(paired(results, encoder, real))


def means(results: Results, encoder: str) -> str:
    """Means over units, then seeds, of the real person and of the simulated people of each fold."""
    head = ["arm"]
    for fold in FOLDS:
        head += [f"{fold}: seeds", "real", "SIMULATED"]
    rows = []
    for arm in ARMS:
        row = [arm]
        for fold in FOLDS:
            names: dict[str, Any] = {"arm": arm, "encoder": encoder, "fold": fold}
            row += [results.seeds(**names), *(results.shown(DICE, real, **names) for real in (True, False))]
        rows.append(row)
    return markdown(head, rows)


def paired(results: Results, encoder: str, real: bool) -> str:
    """All questions of an encoder as one family, both folds in it."""
    rows = []
    for base, arms in QUESTIONS:
        places = [{"encoder": encoder, "fold": fold} for fold in FOLDS]
        family = [(DICE, real, {"arm": arm, **place}, {"arm": base, **place}) for place in places for arm in arms]
        rows += compare(results, family)
    head = ["fold", "arm", "against", "difference [95 %]", "p (Holm)", "units × seeds", ""]
    return markdown(head, difference_table(rows, ("fold", "arm", "against")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
