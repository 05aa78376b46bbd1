"""Whose texts are still good, and who writes the others."""

from __future__ import annotations

from collections.abc import Callable

from ..records import Case, SliceRef
from ..slices.rendering import SliceRenderer
from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore
from ..workspace.files import read_json, write_json
from ..workspace.provenance import fingerprint
from ..workspace.voxel_store import VoxelStore
from .config import CaptionConfig
from .registry import CAPTIONERS
from .shuffled import shuffle_texts

#: In a captioner's folder: what the texts of each case were made from.
MADE_FROM = "made_from.json"


def drop_outdated_texts(config: CaptionConfig, workspace: Workspace, ledger: CaptionStore, store: VoxelStore) -> None:
    """Removes texts of cases whose voxels, or whose captioner, are not what the texts were made from.

    Texts of all other cases stay, also of cases that are not prepared at the moment.
    """
    path = workspace.captions / config.captioner / MADE_FROM
    earlier: dict[str, str] = read_json(path) if path.exists() else {}
    now = {case.id: _made_from(config, workspace, case) for case in store.cases.values()}
    outdated = {case for case, origin in now.items() if earlier.get(case) != origin}
    if outdated:
        # In this order: after a kill in between, the next call finds them outdated again.
        ledger.remove(config.captioner, outdated)
        write_json(path, {**earlier, **now})


def writer_of(config: CaptionConfig, ledger: CaptionStore, store: VoxelStore) -> Callable[[SliceRef], str]:
    """Returns the function that gives a slice its text."""
    load = CAPTIONERS[config.captioner].load
    if load is None:
        slices = ledger.slices()
        people = [store.cases[ref.crop.case].subject for ref in slices]
        texts = shuffle_texts(slices, people, ledger.texts(config.shuffle_of), config.seed)
        return lambda ref: texts[ref.key]
    captioner, renderer = load(), SliceRenderer(store)
    return lambda ref: captioner.describe(renderer.view(ref))


def _made_from(config: CaptionConfig, workspace: Workspace, case: Case) -> str:
    version = CAPTIONERS[config.captioner].version
    if config.captioner == "shuffled":
        shuffled = workspace.require(workspace.captions / config.shuffle_of, f"caption --captioner {config.shuffle_of}")
        return fingerprint(version, config.seed, shuffled.fingerprint)
    grid = [case.shape, case.spacing_mm, case.affine, case.source_shape, case.source_affine]
    return fingerprint(version, case.modality, case.in_hounsfield, case.voxel_sha256, case.window, grid)
