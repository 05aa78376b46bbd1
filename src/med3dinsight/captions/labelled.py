"""Whose label maps may become texts: of nobody who is held out or tested, by name or by voxels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..encoders.seen import Seen
from ..errors import ConfigError, suggest
from ..records import Case
from ..workspace.caption_store import CaptionStore

#: Flags of slices that get no text.
HELD_OUT, NO_LABELS = "held-out", "no-label-map"


def without_labels(cases: Mapping[str, Case], held_out: Iterable[str]) -> dict[str, str]:
    """Returns the cases whose label maps must not, or cannot, become texts.

    Args:
        cases: All prepared cases by id.
        held_out: Subjects whose labels must not be seen; those of the data set's own split "test" never are.

    Returns:
        ``{case: flag}``: ``held-out`` for every scan of these people, and every copy of one under another name;
        ``no-label-map`` where there is none that names its labels.

    Raises:
        ConfigError: Nobody of that name is prepared.
    """
    people = {case.subject for case in cases.values()}
    if unknown := sorted(set(held_out) - people):
        raise ConfigError(f"caption.held_out: no subject called {unknown[0]}", suggest(unknown[0], people))
    away = {*held_out, *(case.subject for case in cases.values() if case.split == "test")}
    kept_apart = Seen().and_cases(case for case in cases.values() if case.subject in away)
    flags = {}
    for name, case in cases.items():
        if case.subject in away or kept_apart.has_seen(case):
            flags[name] = HELD_OUT
        elif not case.has_label or not case.label_names:
            flags[name] = NO_LABELS
    return flags


def labels_used(ledger: CaptionStore, captioner: str, cases: Mapping[str, Case]) -> Seen:
    """Returns whose label maps the texts of a captioner were made from."""
    named = {ref.crop.case for ref, text, _ in ledger.written(captioner) if text}
    return Seen().and_cases(cases[name] for name in sorted(named) if name in cases)
