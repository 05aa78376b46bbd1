"""Which slices get a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import InputError
from ..records import SliceRef
from ..slices.informative import Informative, plan_informative
from ..slices.sampling import count_slices, each_slice
from ..workspace.voxel_store import VoxelStore
from .config import CaptionConfig


@dataclass(frozen=True)
class Plan:
    """The slices that get a text; going through them makes them anew, so that a million take no memory.

    Attributes:
        num_slices: How many there are.
        unfilled: How many of the quotas could not be filled.
        each: Makes them, in the order of the slice table.
    """

    num_slices: int
    unfilled: int
    each: Callable[[], Iterator[SliceRef]]

    def __iter__(self) -> Iterator[SliceRef]:
        return self.each()


def plan(config: CaptionConfig, store: VoxelStore, *, whole: bool) -> Plan:
    """Plans the slices that get a text; what cannot be planned is told now, not when the slices are made.

    Uniform slices take no memory, informative ones two bytes each.

    Args:
        config: Settings.
        store: The prepared volumes.
        whole: Each (cubic) volume is its only crop.

    Raises:
        ConfigError: A crop has fewer voxels along an edge than slices are asked for.
        InputError: A volume is not cubic and ``whole`` is set, or no slice is informative.
    """
    settings = config.slice_settings()
    seed = settings.pop("seed")
    if config.sampling == "uniform":
        cases = list(store.cases.values())
        number = count_slices(cases, whole=whole, **settings)
        return Plan(number, 0, lambda: each_slice(cases, whole=whole, seed=seed, **settings))
    rule = Informative(config.least_body, config.most_alike, seed)
    chosen = plan_informative(store, whole=whole, rule=rule, **settings)
    if not len(chosen):
        raise InputError(
            "no slice is informative by these settings", "lower caption.least_body, or look at the prepared volumes"
        )
    return Plan(len(chosen), chosen.unfilled, lambda: iter(chosen))
