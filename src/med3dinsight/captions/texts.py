"""Texts of other captioners that are read, and dealt out."""

from __future__ import annotations

from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore
from ..workspace.voxel_store import VoxelStore
from .config import CaptionConfig
from .shuffled import shuffle_texts


def deal_texts(config: CaptionConfig, ledger: CaptionStore, store: VoxelStore) -> dict[str, str]:
    """Returns the texts of ``shuffled``, by slice.

    Slices without a text of their own get none, and theirs is nobody's.

    Raises:
        InputError: There is only one slice of a person.
    """
    texts = ledger.texts(config.shuffle_of)
    slices = [ref for ref in ledger.slices() if ref.key in texts]
    people = [store.cases[ref.crop.case].subject for ref in slices]
    return shuffle_texts(slices, people, texts, config.seed)


def read_texts_of(config: CaptionConfig, workspace: Workspace) -> str:
    """Returns the fingerprint of the texts that are read, those of ``config.texts_from``.

    Raises:
        WorkspaceError: They are not complete; the hint names the verb to run.
    """
    name = config.texts_from
    return workspace.require(workspace.captions / name, f"caption --captioner {name}").fingerprint
