"""Prints the tables and writes expected.csv: ``python -m experiments.caption_noise.make_table WORK``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from experiments.caption_noise.arms import ARMS, LOSSES, NAME, REFERENCE, SHARES
from experiments.methods_compared.arms import NAME as COMPARED
from experiments.plan import blocks
from experiments.tables import (
    BY_TEXT,
    LOCATED,
    PROBE,
    Results,
    compare,
    difference_table,
    markdown,
    write_csv,
)

SEEDS = (0, 1)


def main(work: Path) -> None:
    results = Results(work, registered())
    print("written:", write_csv(Path(__file__).parent, results))
    for real in (True, False):
        whose = "real person" if real else "SIMULATED people"
        for measure in (LOCATED, BY_TEXT, PROBE):
            rows = [
                [loss, *(results.shown(measure, real, **names_of(f"{loss}-{share}")) for share in sorted(SHARES))]
                for loss in LOSSES
            ]
            print(f"\n### {measure.name}, {whose}\n")
            print(markdown(["loss", *(f"{share} % wrong" for share in sorted(SHARES))], rows))
        differences = []
        for measure in (LOCATED, BY_TEXT, PROBE):
            # Does a loss stand the same share of wrong texts better than InfoNCE?
            pairs = [(f"{loss}-{share}", f"infonce-{share}") for share in sorted(SHARES) for loss in LOSSES[1:]]
            family = [(measure, real, names_of(arm), names_of(base)) for arm, base in pairs if arm in ARMS]
            differences += compare(results, family)
        head = ["measure", "arm", "against", "difference [95 %]", "p (Holm)", "units × seeds", ""]
        table = markdown(head, difference_table(differences, ("measure", "arm", "against")))
        print(f"\n### Against InfoNCE with as many wrong texts: {whose}\n\n{table}")


def names_of(arm: str) -> dict[str, Any]:
    """The names of an arm's cells; the reference arm was run by methods_compared."""
    return {"arm": "insight"} if arm == REFERENCE else {"arm": arm}


def registered() -> list[dict[str, Any]]:
    """This experiment's cells, and the reference arm's from methods_compared."""
    cells = [cell for block in blocks().values() for cell in block]
    reference = {"experiment": COMPARED, "arm": "insight", "encoder": "conv_tiny", "fold": "chest"}
    own = [cell for cell in cells if cell["experiment"] == NAME]
    return own + [cell for cell in cells if reference.items() <= cell.items() and cell["seed"] in SEEDS]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
