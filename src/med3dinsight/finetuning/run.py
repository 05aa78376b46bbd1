"""Fine-tuning: an encoder, scratch or pre-trained, and labels -> a segmentation model and its test predictions."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, NotBuiltError
from ..networks.registry import check_name
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.files import read_json
from ..workspace.provenance import StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import read_manifest
from .config import FinetuneConfig
from .people import People, choose_people, class_entries, refuse_seen

if TYPE_CHECKING:
    from torch import nn

STAGE_VERSION = 1
DEFAULT_NETWORK = "conv_tiny"


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


@dataclass(frozen=True)
class Init:
    """Where the weights come from.

    Attributes:
        network: Name of the network.
        weights: Encoder weights, or None from scratch.
        identity: Changes with the weights.
        facts: ``encoder.json`` of the pre-training run, or None where nothing is known about it.
    """

    network: str
    weights: Path | None
    identity: str
    facts: dict[str, Any] | None


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
        return FinetuneResult(**{**record.result, "done_before": True})
    people = choose_people(config, read_manifest(workspace.prepared))
    if init.facts is not None:
        refuse_seen(init.facts, people.test, config.init)
    started = time.time()
    with workspace.lock(f"finetuning-{config.run_name}"):
        validation = _train(config, workspace, init, people, identity, progress)
        result = FinetuneResult(config.run_name, config.task, config.init, str(folder), validation)
        write_record(
            folder,
            StageRecord("finetune", identity, config.model_dump(mode="json"), asdict(result), time.time() - started),
        )
    return result


def find_init(config: FinetuneConfig, workspace: Workspace) -> Init:
    """Finds the initial weights.

    Raises:
        ConfigError: ``config.init`` is neither scratch, nor a finished run, nor a file with a named network.
        WorkspaceError: The pre-training run is not complete.
    """
    if config.init == "scratch":
        return Init(config.network or DEFAULT_NETWORK, None, "scratch", None)
    run_folder = workspace.pretraining / config.init
    if config.init.endswith(".safetensors"):
        path = Path(config.init)
        if config.network is None:
            raise ConfigError("weights from a file need a network", "add --set finetune.network=NAME")
        if not path.exists():
            raise ConfigError(f"no such weights: {path}", "give scratch, a pre-training run or a .safetensors file")
        facts = path.with_name("encoder.json")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Init(config.network, path, digest, read_json(facts) if facts.exists() else None)
    record = workspace.require(run_folder, f"pretrain --run {config.init}")
    facts = read_json(run_folder / "encoder.json")
    return Init(config.network or facts["encoder"], run_folder / "encoder.safetensors", record.fingerprint, facts)


def _train(
    config: FinetuneConfig, workspace: Workspace, init: Init, people: People, identity: str, progress: Progress
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
    patch_size = whole_or_patch(config, people)
    network = build_network(config, init, patch_size)
    volumes = load_training_volumes(store, people.train, config)
    total = config.steps + len(people.test)
    sized = config.model_copy(update={"patch_size": patch_size})
    train(network, volumes, sized, folder, identity, device, lambda done, _, note="": progress(done, total, note))
    facts = {
        "task": config.task,
        "network": init.network,
        "num_classes": len(config.classes) + 1,
        "classes": class_entries(config),
        "arm": config.arm_name,
        "seed": config.seed,
        "init": config.init,
        "patch_size": patch_size,
        "overlap": config.overlap,
        "train": sorted({case.subject for case in people.train}),
        "validation": sorted({case.subject for case in people.validation}),
        "test": sorted({case.subject for case in people.test}),
        "test_cases": [case.id for case in people.test],
        "train_voxel_sha256": [case.voxel_sha256 for case in people.train],
        "prepare": workspace.require(workspace.prepared, "prepare").config,
    }
    write_model(folder, network, facts)
    predict_cases(
        network, store, people.test, sized, folder, device, lambda done: progress(config.steps + done, total, "predicting")
    )
    return validate(network, store, people.validation, sized, device)


def whole_or_patch(config: FinetuneConfig, people: People) -> int:
    """Returns the edge of the training crops: the cube's where the volumes are cubes of one size."""
    shapes = {case.shape for case in [*people.train, *people.test]}
    edges = {edge for shape in shapes for edge in shape}
    return edges.pop() if len(shapes) == 1 and len(edges) == 1 else config.patch_size


def build_network(config: FinetuneConfig, init: Init, patch_size: int) -> nn.Module:
    """Builds the network from the seed; a pre-trained encoder replaces the seeded one.

    The scratch twin draws the same decoder: both are built from the same seed before weights are loaded.
    """
    from ..encoders.weights import load_weights
    from ..networks.registry import create_network
    from ..training.seeding import seed_weights

    seed_weights(config.seed)
    network = create_network(init.network, len(config.classes) + 1, image_size=patch_size)
    if init.weights is not None:
        load_weights(network.encoder, init.weights)  # type: ignore[arg-type]
    return network
