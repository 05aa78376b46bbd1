"""The stage ``caption-audit``: a captioner's texts against headers and label maps -> ``audit/CAPTIONER/``."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import WorkspaceError, suggest
from ..slices.rendering import SliceRenderer
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore
from ..workspace.files import write_bytes, write_json
from ..workspace.provenance import StageRecord, completed, fingerprint, read_record, write_record
from ..workspace.voxel_store import VoxelStore
from .agreement import Agreement
from .claims import ClaimReader
from .config import AuditConfig
from .examples import SHOWN_CHARACTERS, Chooser, Chosen, draw_examples
from .facts import FactReader
from .page import render_audit
from .tally import Tally, digest_of
from .verdicts import judge

STAGE_VERSION = 2
FORMAT_VERSION = 1
AUDIT, PAGE = "audit.json", "index.html"
#: Captioners that are controls: they are audited when they are named.
CONTROLS = frozenset({"template", "shuffled"})
_TOLD_EVERY = 256


@dataclass(frozen=True)
class AuditResult:
    """What the audit tells; shares are None where no text says anything.

    Attributes:
        captioner: Whose texts.
        texts: How many there are.
        score: Share of the texts that contradict nothing, of those that say something that can be checked.
        plane, modality, side, organs: Share of the texts that are right, of those that say something.
        audit: Path of ``audit.json``.
        page: Path of the page.
        done_before: Whether it was complete already.
    """

    captioner: str
    texts: int
    score: float | None
    plane: float | None
    modality: float | None
    side: float | None
    organs: float | None
    audit: str
    page: str
    done_before: bool = False


def run(config: AuditConfig, workspace: Workspace, *, progress: Progress = silent) -> AuditResult:
    """Checks every text of a captioner; texts of slices that are not captioned yet are not missed.

    Args:
        config: See :class:`AuditConfig`.
        workspace: Captioned.
        progress: Told the slices checked.

    Raises:
        WorkspaceError: Nothing is captioned, the captioner has no texts, or it is not clear which is meant.
        DiskFullError: The disk is full.
    """
    started = time.time()
    prepared = workspace.require(workspace.prepared, "prepare")
    with CaptionStore(workspace.captions) as ledger:
        config = config.model_copy(update={"captioner": _whose(config, ledger)})
        folder = workspace.audit / config.captioner
        texts = [_texts_digest(ledger, name) for name in (config.captioner, config.against) if name]
        identity = fingerprint("audit", STAGE_VERSION, config.identity(), [prepared.fingerprint, *texts])
        there = (folder / AUDIT).exists() and (folder / PAGE).exists()
        if (record := completed(folder, identity if there else "its output is gone")) is not None:
            return AuditResult(**{**record.result, "done_before": True})
        with workspace.lock(f"audit-{config.captioner}"):
            store = VoxelStore(workspace.prepared)
            audit, chooser = _check(config, ledger, store, progress)
            renderer = SliceRenderer(store)
            worst, sample = draw_examples(renderer, chooser.worst), draw_examples(renderer, chooser.random)
            write_bytes(folder / PAGE, render_audit(audit, worst, sample).encode("utf-8", "backslashreplace"))
            write_json(folder / AUDIT, audit)
            shares = {name: audit[name]["share"] for name in ("plane", "modality", "side", "organs")}
            result = AuditResult(
                captioner=config.captioner,
                texts=audit["texts"],
                score=audit["score"],
                **shares,
                audit=str(folder / AUDIT),
                page=str(folder / PAGE),
            )
            shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
            made_from = {"prepared": prepared.fingerprint, **_captioned(workspace, config.captioner)}
            write_record(folder, StageRecord("audit", identity, shown, asdict(result), seconds, inputs=made_from))
    return result


def _whose(config: AuditConfig, ledger: CaptionStore) -> str:
    names = ledger.captioners()
    for name in (config.captioner, config.against):
        if name and name not in names:
            hint = suggest(name, names) if names else "run `med3dinsight caption` first"
            raise WorkspaceError(f"there are no texts of {name}", hint)
    if config.captioner:
        return config.captioner
    written = [name for name in names if name not in CONTROLS] or names
    if len(written) != 1:
        known = ", ".join(written) or "nobody"
        raise WorkspaceError(f"texts of {known} are there", "say whose to audit: --captioner NAME")
    return written[0]


def _captioned(workspace: Workspace, captioner: str) -> dict[str, str]:
    record = read_record(workspace.captions / captioner)
    return {} if record is None else {f"captions/{captioner}": record.fingerprint}


def _texts_digest(ledger: CaptionStore, captioner: str) -> str:
    digest = hashlib.sha256()
    for ref, text, flags in ledger.written(captioner):
        digest.update(repr((ref.key, text, flags)).encode())
    return digest.hexdigest()


def _check(
    config: AuditConfig, ledger: CaptionStore, store: VoxelStore, progress: Progress
) -> tuple[dict[str, Any], Chooser]:
    reader = FactReader(store)
    claims_of = ClaimReader(reader.label_terms)
    tally, chooser = Tally(config.most_words), Chooser(config.examples, config.seed)
    compared = None
    if config.against:
        compared = Agreement(config.against, ledger.texts(config.against), claims_of, config.seed)
    total = ledger.num_written(config.captioner)
    for number, (ref, text, flags) in enumerate(ledger.written(config.captioner), start=1):
        if number % _TOLD_EVERY == 0 or number == total:
            progress(number, total, ref.crop.case)
        if not text:
            tally.add_missing(flags)
            continue
        facts, claims = reader.facts(ref), claims_of.read(text)
        verdict = judge(claims, facts, flags)
        remarks = tally.add(text, flags, claims, facts, verdict)
        chooser.add(Chosen(ref, text, (*verdict.reasons, *remarks)), len(verdict.reasons) + len(remarks))
        if compared is not None:
            compared.add(ref.key, text, claims)
    audit = {
        "format_version": FORMAT_VERSION,
        "captioner": config.captioner,
        "most_words": config.most_words,
        "labelled_cases": sum(bool(terms) for terms in reader.terms_of_cases.values()),
        "guessed_modalities": sum(case.modality_guessed for case in store.cases.values()),
        **tally.as_json(),
        "agreement": None if compared is None else compared.as_json(),
        "worst": [{"slice": one.ref.key, "reasons": list(one.reasons)} for one in chooser.worst],
    }
    audit["duplicates"]["most_repeated"] = _most_repeated(config, ledger, tally)
    return audit, chooser


def _most_repeated(config: AuditConfig, ledger: CaptionStore, tally: Tally) -> dict[str, Any] | None:
    if (most := tally.most_repeated()) is None:
        return None
    texts = (text for _, text, _ in ledger.written(config.captioner) if text)
    text = next(text for text in texts if digest_of(text) == most[0])
    return {"text": text[:SHOWN_CHARACTERS], "times": most[1]}
