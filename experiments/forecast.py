"""What the registered cells will cost: ``python -m experiments.forecast WORK`` times a few steps of each kind.

WORK holds the population; what is trained here is thrown away and no score is looked at.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from experiments import scores
from experiments.measuring import Scale, finetuning, pretraining, run_name
from experiments.plan import arm_of, blocks
from experiments.simulated_people.population import FOLDS, fold_workspace, simulated_names

from med3dinsight.errors import Med3DInsightError
from med3dinsight.finetuning.run import run as finetune
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.training.precision import limit_threads
from med3dinsight.workspace import Workspace

#: Steps that are run, and the first that is timed.
STEPS, FIRST = 6, 2


class _Timer:
    """Core-seconds a step, from progress reports."""

    def __init__(self) -> None:
        self.marks: dict[int, float] = {}

    def __call__(self, done: int, total: int, note: str = "") -> None:
        self.marks.setdefault(done, time.process_time())

    def per_step(self) -> float:
        return (self.marks[STEPS] - self.marks[FIRST]) / (STEPS - FIRST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--arms", nargs="*", help="time these arms only")
    given = parser.parse_args()
    limit_threads(1)
    steps: dict[tuple[str, str, str], float | None] = {}
    rest: dict[tuple[str, str], float] = {}
    total = 0.0
    for block, cells in blocks().items():
        seconds, unknown = 0.0, 0
        for cell in cells:
            if cell["experiment"] == "population" or (given.arms and cell["arm"] not in given.arms):
                continue
            arm = arm_of(cell)
            kind = (cell["experiment"], cell["arm"], cell["encoder"])
            if kind not in steps:
                steps[kind] = _pretraining_step(cell, given.work)
                shown = "cannot be run" if steps[kind] is None else f"{steps[kind]:.3f} s a step"
                print(f"{' '.join(kind)}: {shown}", flush=True)
            if (step := steps[kind]) is None:
                unknown += 1
                continue
            parts = {"probe": arm.probe, "localize": arm.localize, "finetune": arm.finetune}
            for part in (name for name, wanted in parts.items() if wanted):
                if (part, cell["encoder"]) not in rest:
                    rest[part, cell["encoder"]] = _rest(part, cell, given.work)
                    print(f"{part} {cell['encoder']}: {rest[part, cell['encoder']]:.1f} s", flush=True)
                seconds += rest[part, cell["encoder"]]
            seconds += step * (0 if cell["arm"] == "random" else Scale().pretraining_steps)
        total += seconds
        print(
            f"block {block}: {len(cells)} cells, {seconds / 60:.0f} core-minutes, {unknown} cannot be run", flush=True
        )
    print(f"in all {total / 3600:.2f} core-hours")
    for fold in FOLDS:
        for path in fold_workspace(given.work, fold).root.glob("*/forecast-*"):
            shutil.rmtree(path)


def _named(cell: dict[str, Any], work: Path) -> tuple[Workspace, str]:
    return fold_workspace(work, cell["fold"]), f"forecast-{run_name(cell)}"


def _pretraining_step(cell: dict[str, Any], work: Path) -> float | None:
    if arm_of(cell).pretrain is None:
        return 0.0
    workspace, run = _named(cell, work)
    config = pretraining(cell, Scale()).model_copy(update={"run": run, "steps": STEPS, "checkpoint_every": 1000})
    timer = _Timer()
    try:
        pretrain(config, workspace, progress=timer)
    except Med3DInsightError as error:
        print(error)
        return None
    return timer.per_step() if timer.marks else 0.0


def _rest(part: str, cell: dict[str, Any], work: Path) -> float:
    """Core-seconds of one part of a cell beside pre-training; the second time, when a worker knows the people."""
    workspace, run = _named(cell, work)
    person, train = FOLDS[cell["fold"]]
    simulated = simulated_names(cell["fold"], Scale().simulated)
    if part == "finetune":
        config = finetuning(cell, Scale())
        init = "scratch" if config.init == "scratch" else run
        config = config.model_copy(update={"run": run, "steps": STEPS, "init": init})
        timer = _Timer()
        finetune(config, workspace, progress=timer)
        predicting = time.process_time() - timer.marks[STEPS]
        started = time.process_time()
        scores.dice(workspace, run, person, simulated)
        return timer.per_step() * Scale().finetuning_steps + predicting + time.process_time() - started
    for _ in range(2):
        started = time.process_time()
        if part == "probe":
            scores.probe(workspace, run, train, [person, *simulated])
        else:
            scores.localization(workspace, run, person, simulated)
    return time.process_time() - started


if __name__ == "__main__":
    main()
