"""All scans through one engine into the store, side by side, in the order of the plan."""

from __future__ import annotations

from contextlib import closing
from functools import partial

from ..engines import ENGINES, Failed, usable_cores
from ..records import LeftOut, Source
from ..types import Progress
from .config import PrepareConfig
from .packing import pack_source
from .plan import Plan
from .resuming import ResumedStore

#: A worker is only started for so many scans: starting it takes as long as a small scan.
_SCANS_A_WORKER = 4


def prepare_all(plan: Plan, store: ResumedStore, problems: list[LeftOut], progress: Progress) -> int:
    """Prepares what the store lacks, by the engine of the settings; this process alone writes, in the plan's order.

    Args:
        plan: The cases and the settings.
        store: Where to.
        problems: What failed is added here.
        progress: Told about every case.

    Returns:
        How many failed for a reason that is no fault of theirs.
    """
    todo = [source for source in plan.sources if source.id not in store.kept]
    kept, unexpected = len(plan.sources) - len(todo), 0
    config = plan.config
    outcomes = ENGINES[config.engine](partial(pack_source, config=config), todo, workers_for(config, len(todo)))
    with closing(outcomes):
        for done, (source, outcome) in enumerate(zip(todo, outcomes, strict=True), start=kept + 1):
            if isinstance(outcome, Failed):
                problems.append(LeftOut(_file(source), outcome.reason, outcome.hint))
                unexpected += not outcome.expected
            else:
                store.append(outcome)
            progress(done, len(plan.sources), source.id)
    return unexpected


def workers_for(config: PrepareConfig, scans: int) -> int:
    """Returns how many scans are worked on at a time; 0, which only Ray gets, means the cluster's cores.

    Example:
        >>> workers_for(PrepareConfig(source=".", workers=3), 100), workers_for(PrepareConfig(source="."), 3)
        (3, 1)
    """
    if config.engine == "ray":
        return config.workers
    return min(config.workers, max(1, scans)) or max(1, min(usable_cores(), scans // _SCANS_A_WORKER))


def _file(source: Source) -> str:
    return source.image if source.channel is None else f"{source.image} (channel {source.channel})"
