"""Pre-training: prepared volumes + 2D features -> a 3D encoder."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from ..encoders.registry import check_name
from ..errors import ConfigError, LeakageError
from ..records import Case
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.provenance import StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import VoxelStore
from .config import PretrainConfig
from .methods import Method, psat_settings, resolve

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
        LeakageError: A subject held out would be seen under another name.
        WorkspaceError: An earlier stage is missing.
    """
    check_name(config.encoder)
    method = resolve(config)
    folder = workspace.pretraining / config.run
    prepared = workspace.require(workspace.prepared, "prepare")
    embedded = workspace.require(workspace.features / config.towers / config.captioner, "embed")
    identity = fingerprint(
        "pretrain", STAGE_VERSION, config.identity(), asdict(method), prepared.fingerprint, embedded.fingerprint
    )
    if (record := completed(folder, identity)) is not None:
        return PretrainResult(**{**record.result, "done_before": True})
    started = time.time()
    store = VoxelStore(workspace.prepared)
    cases = training_cases(store, config.held_out)
    with workspace.lock(f"pretraining-{config.run}"):
        result = _train(config, method, workspace, store, cases, identity, progress)
        write_record(
            folder,
            StageRecord("pretrain", identity, config.model_dump(mode="json"), asdict(result), time.time() - started),
        )
    return result


def training_cases(store: VoxelStore, held_out: tuple[str, ...]) -> list[Case]:
    """Returns the cases that pre-training may see.

    Raises:
        ConfigError: A subject held out is not in the workspace, or nobody is left.
        LeakageError: The voxels of a subject held out are also there under another subject.
    """
    known = {case.subject for case in store.cases.values()}
    if unknown := sorted(set(held_out) - known):
        raise ConfigError(f"held-out subject {unknown[0]} is not in the workspace", "known: " + ", ".join(sorted(known)))
    hidden = {case.voxel_sha256: case for case in store.cases.values() if case.subject in held_out}
    seen = [case for case in store.cases.values() if case.subject not in held_out]
    for case in seen:
        if case.voxel_sha256 in hidden:
            twin = hidden[case.voxel_sha256]
            raise LeakageError(
                f"case {case.id} of subject {case.subject} has the very voxels of held-out {twin.id} ({twin.subject})",
                "hold both subjects out, or remove the copy and prepare again",
            )
    if not seen:
        raise ConfigError("every subject is held out", "leave some people for pre-training")
    return seen


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
