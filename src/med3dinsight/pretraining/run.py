"""Pre-training: prepared volumes + 2D features -> a 3D encoder."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from ..encoders.registry import check_name
from ..records import Case
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.provenance import RECORD, StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import VoxelStore
from .config import PretrainConfig
from .methods import Method, psat_settings, resolve
from .people import refuse_fitted, training_cases

STAGE_VERSION = 1


@dataclass(frozen=True)
class PretrainResult:
    """What pre-training tells; ``checkpoint`` is the path of the encoder's weights."""

    run: str
    encoder: str
    method: str
    steps: int
    final_loss: float
    pairs_per_second: float
    checkpoint: str
    done_before: bool = False


def run(config: PretrainConfig, workspace: Workspace, *, progress: Progress = silent) -> PretrainResult:
    """Pre-trains an encoder, or returns at once where this very run is complete.

    Args:
        config: See :class:`PretrainConfig`.
        workspace: Prepared, captioned and embedded.
        progress: Told the steps.

    Returns:
        The run's result; weights are in ``pretraining/RUN/encoder.safetensors``.

    Raises:
        ConfigError: A name is unknown or sizes do not fit.
        LeakageError: A subject held out would be seen under another name, or was seen in fitting the projections.
        WorkspaceError: An earlier stage is missing or has been run anew since.
    """
    check_name(config.encoder)
    method = resolve(config)
    folder = workspace.pretraining / config.run
    prepared = workspace.require(workspace.prepared, "prepare")
    features = f"features/{config.towers}/{config.captioner}"
    embedded = workspace.require_current(workspace.root / features, f"embed --captioner {config.captioner}")
    identity = fingerprint(
        "pretrain", STAGE_VERSION, config.identity(), asdict(method), prepared.fingerprint, embedded.fingerprint
    )
    if (record := completed(folder, identity)) is not None:
        checkpoint = str(folder / "encoder.safetensors")
        return PretrainResult(**{**record.result, "checkpoint": checkpoint, "done_before": True})
    started = time.time()
    store = VoxelStore(workspace.prepared)
    cases = training_cases(store.cases, config.held_out)
    refuse_fitted(config.held_out, embedded.config["held_out"])
    with workspace.lock(f"pretraining-{config.run}"):
        (folder / RECORD).unlink(missing_ok=True)
        result = _train(config, method, workspace, store, cases, identity, progress)
        shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
        made_from = {"prepared": prepared.fingerprint, features: embedded.fingerprint}
        write_record(folder, StageRecord("pretrain", identity, shown, asdict(result), seconds, inputs=made_from))
    return result


def _train(
    config: PretrainConfig,
    method: Method,
    workspace: Workspace,
    store: VoxelStore,
    cases: list[Case],
    identity: str,
    progress: Progress,
) -> PretrainResult:
    from ..alignment.aligned_encoder import AlignedEncoder, save_aligned
    from ..training.precision import choose_device, limit_threads
    from ..training.seeding import seed_weights
    from .loop import train
    from .targets import load_pool

    device = choose_device(config.device)
    limit_threads(config.threads)
    folder = workspace.pretraining / config.run
    pool = load_pool(config, workspace, store)
    image_size = pool.slices[0].crop.size
    seed_weights(config.seed)
    model = AlignedEncoder(config.encoder, image_size, pool.images.shape[1], psat_settings(method))
    trained = train(model, pool, config, method, folder, identity, device, progress)
    facts = {
        "captioner": config.captioner,
        "towers": config.towers,
        "match": config.match,
        "shuffled_pairs": config.shuffled_pairs,
        "seed": config.seed,
        "subjects": sorted({case.subject for case in cases}),
        "voxel_sha256": sorted(case.voxel_sha256 for case in cases),
    }
    save_aligned(folder, model, facts)
    return PretrainResult(
        run=config.run,
        encoder=config.encoder,
        method=config.method,
        steps=config.steps,
        final_loss=trained.final_loss,
        pairs_per_second=trained.pairs_per_second,
        checkpoint=str(folder / "encoder.safetensors"),
    )
