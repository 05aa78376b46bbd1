"""Fine-tuning: an encoder, scratch or pre-trained, and labels -> a segmentation model and its test predictions."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import NotBuiltError
from ..networks.registry import check_name
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.provenance import RECORD, StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import read_manifest
from .config import FinetuneConfig
from .initial import Init, build_network, find_init
from .people import People, choose_people, class_entries, refuse_seen

STAGE_VERSION = 1


@dataclass(frozen=True)
class FinetuneResult:
    """What fine-tuning tells.

    Attributes:
        run: Name of the model folder.
        task: "segmentation".
        init: Weights it started from.
        model: Path of the model folder.
        validation: ``{class: mean Dice}`` on the validation subjects, prepared grid; None without any.
    """

    run: str
    task: str
    init: str
    model: str
    validation: dict[str, float | None] | None
    done_before: bool = False


def run(config: FinetuneConfig, workspace: Workspace, *, progress: Progress = silent) -> FinetuneResult:
    """Fine-tunes a network and predicts the test cases, or returns at once where that is done.

    Args:
        config: See :class:`FinetuneConfig`.
        workspace: Prepared; pre-trained where ``config.init`` names a run.
        progress: Told the steps, then the predicted cases.

    Returns:
        The result; the model is in ``finetuning/RUN``.

    Raises:
        ConfigError: A name is unknown, or the people do not suffice.
        InputError: The initial weights do not fit the network.
        LeakageError: A test subject was seen in training or in pre-training.
        WorkspaceError: An earlier stage is missing.
    """
    if config.task != "segmentation":
        raise NotBuiltError("fine-tuning for classification is not built yet", "use --task segmentation")
    prepared = workspace.require(workspace.prepared, "prepare")
    init = find_init(config, workspace)
    check_name(init.network)
    folder = workspace.finetuning / config.run_name
    identity = fingerprint("finetune", STAGE_VERSION, config.identity(), prepared.fingerprint, init.identity)
    if (record := completed(folder, identity)) is not None:
        return FinetuneResult(**{**record.result, "model": str(folder), "done_before": True})
    people = choose_people(config, read_manifest(workspace.prepared))
    if init.facts is not None:
        refuse_seen(init.facts, people.test, config.init)
    started = time.time()
    with workspace.lock(f"finetuning-{config.run_name}"):
        (folder / RECORD).unlink(missing_ok=True)
        validation = _train(config, workspace, prepared.config, init, people, identity, progress)
        result = FinetuneResult(config.run_name, config.task, config.init, str(folder), validation)
        shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
        write_record(folder, StageRecord("finetune", identity, shown, asdict(result), seconds))
    return result


def _train(
    config: FinetuneConfig,
    workspace: Workspace,
    prepare: dict[str, Any],
    init: Init,
    people: People,
    identity: str,
    progress: Progress,
) -> dict[str, float | None] | None:
    from ..training.precision import choose_device, limit_threads
    from ..workspace.voxel_store import VoxelStore
    from .cases import load_training_volumes, predict_cases, validate
    from .loop import train
    from .model_folder import write_model

    device = choose_device(config.device)
    limit_threads(config.threads)
    folder = workspace.finetuning / config.run_name
    store = VoxelStore(workspace.prepared)
    if prepare.get("protocol") == "cube128":
        config = config.model_copy(update={"patch_size": people.train[0].shape[0]})
    network = build_network(config, init)
    volumes = load_training_volumes(store, people.train, config)
    total = config.steps + len(people.test)
    train(network, volumes, config, folder, identity, device, lambda done, _, note="": progress(done, total, note))
    write_model(folder, network, _facts(config, prepare, init, people))
    predict_cases(
        network,
        store,
        people.test,
        config,
        folder,
        device,
        lambda done: progress(config.steps + done, total, "predicting"),
    )
    return validate(network, store, people.validation, config, device)


def _facts(config: FinetuneConfig, prepare: dict[str, Any], init: Init, people: People) -> dict[str, Any]:
    return {
        "task": config.task,
        "network": init.network,
        "num_classes": len(config.classes) + 1,
        "classes": class_entries(config),
        "arm": config.arm_name,
        "seed": config.seed,
        "init": config.init,
        "patch_size": config.patch_size,
        "overlap": config.overlap,
        "train": sorted({case.subject for case in people.train}),
        "validation": sorted({case.subject for case in people.validation}),
        "test": sorted({case.subject for case in people.test}),
        "test_cases": [case.id for case in people.test],
        "train_voxel_sha256": [case.voxel_sha256 for case in people.train],
        "prepare": prepare,
    }
