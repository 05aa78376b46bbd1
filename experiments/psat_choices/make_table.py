"""Prints the tables and writes expected.csv: ``python -m experiments.psat_choices.make_table WORK``."""

from __future__ import annotations

import sys
from pathlib import Path

from experiments.methods_compared.arms import NAME as COMPARED
from experiments.plan import blocks
from experiments.psat_choices.arms import ARMS, NAME, REFERENCE
from experiments.tables import (
    LOCATED,
    PROBE,
    RECALL,
    WRONG,
    Results,
    compare,
    difference_table,
    markdown,
    write_csv,
)

FOLDS = ("chest", "abdomen")
SEEDS = (0, 1)


def main(work: Path) -> None:
    results = Results(work, registered())
    print("written:", write_csv(Path(__file__).parent, results))
    shown = (LOCATED, WRONG, RECALL, PROBE)
    for fold in FOLDS:
        rows = []
        for arm in (REFERENCE, *ARMS):
            names = {"arm": arm, "fold": fold}
            real = [results.shown(measure, True, **names) for measure in shown]
            simulated = [results.shown(measure, False, **names) for measure in (LOCATED, PROBE)]
            rows.append([arm, results.seeds(**names), *real, *simulated])
        head = ["arm", "seeds", *(m.name for m in shown), *(f"{m.name}, simulated" for m in (LOCATED, PROBE))]
        print(f"\n### {fold} fold: means\n\n{markdown(head, rows)}")
    for real in (True, False):
        differences = []
        for measure in (LOCATED, PROBE):
            places = [{"fold": fold} for fold in FOLDS]
            family = [
                (measure, real, {"arm": arm, **place}, {"arm": REFERENCE, **place}) for place in places for arm in ARMS
            ]
            differences += compare(results, family)
        head = ["measure", "fold", "arm", "against", "difference [95 %]", "p (Holm)", "units × seeds", ""]
        table = markdown(head, difference_table(differences, ("measure", "fold", "arm", "against")))
        print(f"\n### Against {REFERENCE}: {'real person' if real else 'SIMULATED people'}\n\n{table}")


def registered() -> list[dict[str, object]]:
    """This experiment's cells, and the reference arm's from methods_compared."""
    cells = [cell for block in blocks().values() for cell in block]
    reference = {"experiment": COMPARED, "arm": REFERENCE, "encoder": "conv_tiny"}
    own = [cell for cell in cells if cell["experiment"] == NAME]
    return own + [cell for cell in cells if reference.items() <= cell.items() and cell["seed"] in SEEDS]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
