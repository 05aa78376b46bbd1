"""Runs the registered experiments, or what is left of them: ``python -m experiments.run WORK``.

A kill at any moment loses the cells in work; the same command goes on. No cell is started beyond the budget, which
counts everything that the work folder has seen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from experiments.cells import run_cells, status
from experiments.measuring import SMOKE, Scale, fix_scale
from experiments.plan import POPULATION, blocks, smoke_cells

FUNCTION = "experiments.measuring:measure"
#: What has been measured so far; a new work folder begins with it.
RECORDED = Path(__file__).parent / "recorded.jsonl"
BUDGET_CORE_HOURS = 6.0


def take_over(recorded: Path, work: Path) -> None:
    """Begins a new work folder with the cells that were measured elsewhere, but makes its population anew."""
    ledger = work / "cells.jsonl"
    if ledger.exists() or not recorded.exists():
        return
    rows = [line for line in recorded.read_text().splitlines() if json.loads(line)["cell"] != POPULATION]
    ledger.write_text("".join(f"{line}\n" for line in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="folder of the workspaces and of cells.jsonl")
    parser.add_argument("--blocks", nargs="*", default=list(blocks()), choices=list(blocks()), metavar="BLOCK")
    parser.add_argument("--workers", type=int, default=2, help="cells side by side, one thread each")
    parser.add_argument("--budget", type=float, default=BUDGET_CORE_HOURS, help="core-hours, all calls together")
    parser.add_argument("--retry-failed", action="store_true", help="run failed cells again")
    parser.add_argument("--status", action="store_true", help="only say what is done")
    parser.add_argument("--smoke", action="store_true", help="a few steps of one cell of each kind; no result")
    given = parser.parse_args()
    population = blocks()["population"]
    cells = smoke_cells() if given.smoke else [cell for name in given.blocks for cell in blocks()[name]]
    if given.status:
        print(status([*population, *cells], given.work))
        return
    fix_scale(given.work, SMOKE if given.smoke else Scale())
    if not given.smoke:
        take_over(RECORDED, given.work)
    settings = {"budget_core_hours": given.budget, "retry_failed": given.retry_failed}
    # Everything else reads what the first cell makes.
    if run_cells(population, FUNCTION, given.work, workers=1, **settings).failed:
        raise SystemExit("the population could not be made; see cells.jsonl")
    run_cells(cells, FUNCTION, given.work, workers=given.workers, **settings)
    print(status([*population, *cells], given.work))


if __name__ == "__main__":
    main()
