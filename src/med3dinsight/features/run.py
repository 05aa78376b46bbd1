"""Embedding: slices and their texts -> frozen 2D features and the projections that pre-training matches."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from ..errors import ConfigError
from ..towers.model_folder import TUNED
from ..towers.registry import TOWERS, weights_identity
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.provenance import RECORD, StageRecord, completed, fingerprint, write_record
from .config import EmbedConfig

STAGE_VERSION = 1


@dataclass(frozen=True)
class EmbedResult:
    """What embedding tells.

    Attributes:
        slices: Slices embedded by the image tower; with ``embed.when`` "drawn" those of the sample.
        texts: Texts embedded by the text tower, each counted once.
        towers: Name of the towers.
        captioner: Whose texts.
        projection: "whitened", "tuned" or "none".
        retrieval_before: Image-to-text R@1 among at most 256 slices, before the two sides were turned onto
            each other (before tuning, where something is tuned); on held-out people where there are any.
        retrieval_after: The same with the final projections.
        retrieval_training: The same on the people the projections were fitted on.
        retrieval_people: "held out" or "training": whom the first two figures are about.
        text_to_image_before: As ``retrieval_before``, from texts to pictures.
        text_to_image_after: As ``retrieval_after``, from texts to pictures.
        tuned: What tuning trained: "linear", "projections", "lora" or "full"; empty where nothing was tuned.
        without_text: Slices that have no text of this captioner; nothing is fitted or trained on them.
    """

    slices: int
    texts: int
    towers: str
    captioner: str
    projection: str
    retrieval_before: float
    retrieval_after: float
    retrieval_training: float
    retrieval_people: str
    done_before: bool = False
    without_text: int = 0
    text_to_image_before: float | None = None
    text_to_image_after: float | None = None
    tuned: str = ""


def run(config: EmbedConfig, workspace: Workspace, *, progress: Progress = silent) -> EmbedResult:
    """Embeds every slice and every text of a captioner once, and fits the projections.

    With ``config.when`` "drawn" only the slices are embedded that the projections are fitted and tested on;
    pre-training then computes features of the slices that it draws.

    Args:
        config: See :class:`EmbedConfig`.
        workspace: Prepared and captioned by ``config.captioner``.
        progress: Told the slices done, pictures first, then texts.

    Raises:
        ConfigError: The towers are unknown, their model cannot be used, or nobody is left to fit the projections on.
        InputError: Nobody to fit the projections on has a text.
        DownloadError: The towers' weights cannot be fetched or verified.
        WorkspaceError: An earlier stage is missing or has been run anew since.
    """
    if config.when == "drawn" and (config.engine, config.workers) != ("local", 1):
        raise ConfigError(
            'embed.engine and embed.workers have no effect with embed.when = "drawn": a sample is embedded here',
            'leave them out, or embed all slices now (embed.when = "all")',
        )
    _check_tuning(config)
    weights = weights_identity(config.towers, model=config.model, hub=config.hub)
    folder = workspace.features / config.folder / config.captioner
    prepared = workspace.require(workspace.prepared, "prepare")
    texts = workspace.captions / config.captioner
    captioned = workspace.require_current(texts, f"caption --captioner {config.captioner}")
    parts = (config.identity(), prepared.fingerprint, captioned.fingerprint, *([weights] if weights else []))
    identity = fingerprint("embed", STAGE_VERSION, *parts)
    if (record := completed(folder, identity)) is not None:
        return EmbedResult(**{**record.result, "done_before": True})
    started = time.time()
    with workspace.lock(f"features-{config.folder}", wait_seconds=24 * 3600):
        (folder / RECORD).unlink(missing_ok=True)
        result = _embed(config, workspace, progress)
        shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
        made_from = {"prepared": prepared.fingerprint, f"captions/{config.captioner}": captioned.fingerprint}
        write_record(folder, StageRecord("embed", identity, shown, asdict(result), seconds, inputs=made_from))
    return result


def _embed(config: EmbedConfig, workspace: Workspace, progress: Progress) -> EmbedResult:
    from ..training.precision import choose_device, limit_threads
    from ..workspace.caption_store import CaptionStore
    from ..workspace.voxel_store import VoxelStore
    from .embedding import embed_all, embed_drawn, forget_others
    from .projecting import fit_projections
    from .tuning import load_or_tune

    device = choose_device(config.device)
    limit_threads(config.threads)
    store = VoxelStore(workspace.prepared)
    with CaptionStore(workspace.captions) as ledger:
        slices, written = ledger.slices(), ledger.texts(config.captioner)
    texts = [written.get(ref.key) for ref in slices]
    people = [store.cases[ref.crop.case].subject for ref in slices]
    _check_people(config, people)
    target = workspace.features / config.folder / config.captioner
    towers, before = load_or_tune(config, target, device, store, slices, texts, people, progress)
    if config.when == "all":
        forget_others(target, towers.identity)
    embed = embed_drawn if config.when == "drawn" else embed_all
    # Other processes load the towers by the settings.
    loaded = config.model_copy(update={"model": str((target / TUNED).absolute())}) if config.tunes_towers else config
    sample = embed(loaded, workspace, towers, store, slices, texts, people, progress)
    retrieval = fit_projections(
        config,
        target,
        sample.images,
        sample.texts,
        [people[row] for row in sample.rows],
    )
    return EmbedResult(
        slices=len(sample.rows),
        texts=len({texts[row] for row in sample.rows} - {None}),
        towers=config.towers,
        captioner=config.captioner,
        projection=config.projection,
        retrieval_before=retrieval.before if before is None else before["image_to_text_before"],
        retrieval_after=retrieval.after if before is None else before["image_to_text_after"],
        retrieval_training=retrieval.training,
        retrieval_people=retrieval.people,
        without_text=texts.count(None),
        text_to_image_before=retrieval.texts_before if before is None else before["text_to_image_before"],
        text_to_image_after=retrieval.texts_after if before is None else before["text_to_image_after"],
        tuned=config.tuned,
    )


def _check_tuning(config: EmbedConfig) -> None:
    if config.tuned in ("", "linear") or config.tunes_towers:
        return
    if config.towers in TOWERS:
        raise ConfigError(
            f"embed.tuning={config.tuning} trains towers with a joint space, which {config.towers} do not have",
            "take tuning=linear, or towers such as clip",
        )


def _check_people(config: EmbedConfig, people: list[str]) -> None:
    if unknown := sorted(set(config.held_out) - set(people)):
        raise ConfigError(
            f"held-out subject {unknown[0]} is not in the workspace", "known: " + ", ".join(sorted(set(people)))
        )
    if not set(people) - set(config.held_out):
        raise ConfigError("every subject is held out", "leave some people to fit the projections on")
