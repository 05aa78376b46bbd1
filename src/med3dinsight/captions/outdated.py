"""Texts that were made from other voxels, or by other settings of the captioner, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..records import Case
from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore
from ..workspace.files import read_json, write_json
from ..workspace.provenance import RECORD, fingerprint
from ..workspace.voxel_store import VoxelStore
from .config import CaptionConfig
from .importing import hash_of, texts_to_import
from .labelled import without_labels
from .reports import reports_of
from .texts import read_texts_of

#: In a captioner's folder: what the texts of each case were made from.
MADE_FROM = "made_from.json"
#: What the record that a captioner is complete is called meanwhile.
RECORD_ASIDE = f"{RECORD}.aside"
_STAY = "no answer by these settings is there yet: the texts that others wrote under this name stay"


class Outdated:
    """Texts of cases whose voxels, or whose captioner, are not what the texts were made from; a context.

    Inside it they are gone from the ledger, and the record that says that the captioner is complete with them. A chat
    model may turn out to be none (a mistyped name, a server that is down): its texts are only put aside. Unless
    :meth:`replace` was called they come back at the end, or, after a kill, when the next one is made; what was written
    meanwhile about the same cases is removed then.

    Texts of all other cases stay, also of cases that are not prepared at the moment.

    Args:
        config: Settings.
        workspace: Whose texts they are.
        ledger: Holds the texts.
        store: The volumes as they are now.

    Attributes:
        pending: Whether there is nothing in their place yet: none of what is written now was made from the same.
        new: Whether all cases are outdated: nothing shows that the captioner answers by these settings.

    Raises:
        InputError: A file to import cannot be read; nothing is changed.
    """

    def __init__(self, config: CaptionConfig, workspace: Workspace, ledger: CaptionStore, store: VoxelStore) -> None:
        self._name, self._ledger = config.kept_as, ledger
        self._folder = workspace.captions / config.kept_as
        self._bring_back()  # what a kill left
        path = self._folder / MADE_FROM
        self._earlier: dict[str, str] = read_json(path) if path.exists() else {}
        left_out = without_labels(store.cases, config.held_out) if config.entry.needs_labels else {}
        reports = reports_of(config, store.cases) if config.entry.way == "reports" else {}
        self._now = {case.id: _made_from(config, workspace, case, left_out, reports) for case in store.cases.values()}
        outdated = {case for case, origin in self._now.items() if self._earlier.get(case) != origin}
        self.pending = bool(outdated)
        self.new = bool(self._now) and len(outdated) == len(self._now)
        if not outdated:
            return
        if config.entry.way == "imported" and ledger.num_written(config.kept_as):
            texts_to_import(config.existing, ledger, store)  # a file that cannot be read costs nobody their texts
        self._put_aside(outdated)
        if config.entry.way != "chat":
            self.replace()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader is to be told, a sentence each."""
        return (_STAY,) if self.pending and self._ledger.has_aside(self._name) else ()

    def __enter__(self) -> Outdated:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.pending:
            self._bring_back()

    def _put_aside(self, cases: set[str]) -> None:
        if (self._folder / RECORD).exists():
            (self._folder / RECORD).replace(self._folder / RECORD_ASIDE)
        self._ledger.put_aside(self._name, cases)

    def _bring_back(self) -> None:
        self._ledger.bring_back(self._name)
        if (self._folder / RECORD_ASIDE).exists():
            (self._folder / RECORD_ASIDE).replace(self._folder / RECORD)

    def replace(self) -> None:
        """Removes them for good: there is something to put in their place. Further calls do nothing."""
        if not self.pending:
            return
        self.pending = False
        # In this order: after a kill in between, the next call finds them outdated again.
        (self._folder / RECORD_ASIDE).unlink(missing_ok=True)
        self._ledger.forget_aside(self._name)
        write_json(self._folder / MADE_FROM, {**self._earlier, **self._now})


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
