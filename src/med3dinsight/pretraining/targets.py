"""Joins the slice table, the targets and the voxels into the pool that batches are drawn from."""

from __future__ import annotations

from collections import Counter

from ..errors import ConfigError
from ..records import SliceRef
from ..slices.sampling import plan_slices, possible_crops
from ..targets.loading import load_targets
from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore
from ..workspace.voxel_store import VoxelStore
from .config import PretrainConfig
from .pool import Pool, build_pool
from .resolving import default_of
from .wrong_targets import mistake_texts, shuffle_pairs

#: Positions a plane of a planned crop, where nobody has captioned slices; they only tell empty crops.
PLANNED_POSITIONS = 8


def load_pool(config: PretrainConfig, workspace: Workspace, store: VoxelStore, features: bool) -> Pool:
    """Builds the pool of crops of a run, with the targets of their slices where the method matches any.

    Methods without 2D features draw the crops of the slice table too, so that all methods see the same data; without
    captions they plan crops of their own.

    Raises:
        ConfigError: Other crops are asked for than have been captioned.
        InputError: No slice of the people who may be seen shows anything, or there are too few texts to mistake them.
        WorkspaceError: ``embed`` has not run.
    """
    away = frozenset(config.held_out)
    if not features:
        slices = _crops(config, workspace, store)
        _refuse_other_crops(config, store, slices)
        return build_pool(store, slices, None, None, away)
    with CaptionStore(workspace.captions) as ledger:
        slices = ledger.slices()
    _refuse_other_crops(config, store, slices)
    images, texts = load_targets(workspace, config.towers, config.captioner)
    pool = build_pool(store, slices, images, texts, away)
    if config.shuffled_pairs:
        pool = shuffle_pairs(pool, config.seed)
    if config.wrong_texts:
        pool = mistake_texts(pool, config.wrong_texts, config.seed)
    return pool


def _crops(config: PretrainConfig, workspace: Workspace, store: VoxelStore) -> list[SliceRef]:
    if (workspace.captions / "ledger.sqlite").exists():
        with CaptionStore(workspace.captions) as ledger:
            if slices := ledger.slices():
                return slices
    shapes = {case.shape for case in store.cases.values()}
    whole = len(shapes) == 1 and len(set(next(iter(shapes)))) == 1
    size = next(iter(shapes))[0] if whole else config.crop_size
    return plan_slices(
        store.cases.values(),
        whole=whole,
        crop_size=config.crop_size,
        crops_per_volume=config.crops_per_volume,
        positions_per_plane=min(PLANNED_POSITIONS, size),
        seed=config.seed,
    )


def _refuse_other_crops(config: PretrainConfig, store: VoxelStore, slices: list[SliceRef]) -> None:
    """Refuses a size or a number of crops that is set and is not that of the crops there are."""
    if not slices:  # which is refused with its own words
        return
    counts = Counter(crop.case for crop in {ref.crop for ref in slices})
    size, most = slices[0].crop.size, max(counts.values())
    asked = max(min(config.crops_per_volume, possible_crops(store.cases[case], size)) for case in counts)
    for name, value, there, differs in (
        ("crop_size", config.crop_size, f"the crops have {size} voxels an edge", config.crop_size != size),
        ("crops_per_volume", config.crops_per_volume, f"a volume has {most} crops", asked != most),
    ):
        if differs and value != default_of(name):
            raise ConfigError(
                f"pretrain.{name} = {value} has no effect: {there}",
                f"leave it out; captioned crops are set by caption.{name}, and cubes are taken whole",
            )
