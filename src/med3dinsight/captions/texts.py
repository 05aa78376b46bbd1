"""Whose texts are still good, and whose are dealt out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..records import Case
from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore
from ..workspace.files import read_json, write_json
from ..workspace.provenance import fingerprint
from ..workspace.voxel_store import VoxelStore
from .config import CaptionConfig
from .importing import hash_of, texts_to_import
from .labelled import without_labels
from .reports import reports_of
from .shuffled import shuffle_texts

#: In a captioner's folder: what the texts of each case were made from.
MADE_FROM = "made_from.json"


def drop_outdated_texts(config: CaptionConfig, workspace: Workspace, ledger: CaptionStore, store: VoxelStore) -> None:
    """Removes texts of cases whose voxels, or whose captioner, are not what the texts were made from.

    Texts of all other cases stay, also of cases that are not prepared at the moment.
    """
    path = workspace.captions / config.kept_as / MADE_FROM
    earlier: dict[str, str] = read_json(path) if path.exists() else {}
    left_out = without_labels(store.cases, config.held_out) if config.entry.needs_labels else {}
    reports = reports_of(config, store.cases) if config.entry.way == "reports" else {}
    now = {case.id: _made_from(config, workspace, case, left_out, reports) for case in store.cases.values()}
    outdated = {case for case, origin in now.items() if earlier.get(case) != origin}
    if outdated:
        if config.entry.way == "imported" and ledger.num_written(config.kept_as):
            texts_to_import(config.existing, ledger, store)  # a file that cannot be read costs nobody their texts
        # In this order: after a kill in between, the next call finds them outdated again.
        ledger.remove(config.kept_as, outdated)
        write_json(path, {**earlier, **now})


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


def _made_from(
    config: CaptionConfig, workspace: Workspace, case: Case, left_out: Mapping[str, str], reports: Mapping[str, str]
) -> str:
    version: int | str = config.entry.version
    if config.entry.way == "dealt":
        return fingerprint(version, config.seed, read_texts_of(config, workspace))
    if config.entry.way == "reports":
        settings = [config.seed, config.report_text, config.report_words, config.report_least_words]
        return fingerprint(version, *settings, reports.get(case.id), config.beside and read_texts_of(config, workspace))
    if config.entry.way == "imported":
        return fingerprint(version, hash_of(config.existing))
    if config.entry.way == "chat":
        version = fingerprint(version, config.asked_with())
    grid = [case.shape, case.spacing_mm, case.affine, case.source_shape, case.source_affine]
    parts: list[Any] = [version, case.modality, case.in_hounsfield, case.voxel_sha256, case.window, grid]
    if config.entry.needs_labels:
        parts += [case.label_sha256, case.label_names, left_out.get(case.id)]
    return fingerprint(*parts)
