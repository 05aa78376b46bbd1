"""How far each captioner's texts can be trusted, as the audits found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...workspace.files import read_json
from ..inputs import Inputs
from ..tables import Table, plain_table
from ..wording import UNDEFINED, percent

_HEAD = ("Captioner", "Contradict nothing", "Plane right", "Modality right", "Side right", "Organs right")


def caption_audits(inputs: Inputs, captioners: Sequence[str]) -> tuple[Table | None, tuple[str, ...]]:
    """Returns the scores of the audited captioners, and what is to be said about the others.

    Args:
        inputs: What the workspace holds.
        captioners: In the order of the page.

    Returns:
        The table, None where no captioner was audited; a sentence for all that were not audited, and one for each
        whose texts, or scans, are not the ones that were audited.

    Raises:
        WorkspaceError: The file of a finished audit is missing or damaged.
    """
    rows, remarks = [], []
    for name in captioners:
        record = inputs.records.get(f"audit/{name}")
        if record is None:
            continue
        audit = read_json(inputs.workspace.audit / name / "audit.json")
        cells = [_cell(audit["score"], audit["checked"] - audit["contradicting"], audit["checked"])]
        parts = [audit[part] for part in ("plane", "modality", "side", "organs")]
        rows.append((name, *cells, *(_cell(part["share"], part["agree"], part["said"]) for part in parts)))
        if _is_of_before(inputs, record.inputs):
            remarks.append(f"{name} was audited before its texts or the scans were made anew.")
    audited = {row[0] for row in rows}
    if missing := [name for name in captioners if name not in audited]:
        remarks.append(f"Not audited, so that nothing is known of their truth: texts of {', '.join(missing)}.")
    caption = "Caption audit: texts against headers and label maps, of those that say anything that can be checked"
    return (plain_table(caption, _HEAD, rows) if rows else None), tuple(remarks)


def _cell(share: float | None, right: int, said: int) -> str:
    return UNDEFINED if share is None else f"{percent(share, 1)} ({right:,} of {said:,})"


def _is_of_before(inputs: Inputs, made_from: dict[str, Any]) -> bool:
    now = {name: record.fingerprint for name, record in inputs.records.items()}
    return any(now.get(name) != expected for name, expected in made_from.items())
