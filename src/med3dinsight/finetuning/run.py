"""Fine-tuning: an encoder, scratch or pre-trained, and labels -> a model and its test predictions."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..datasets.leakage import content_key
from ..encoders.seen import Seen, warn_where_unknown
from ..networks.registry import check_name
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.provenance import RECORD, StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import read_manifest
from .config import FinetuneConfig
from .initial import Init, build_network, find_init
from .label_table import LabelTable, read_label_table
from .people import People, choose_people, class_entries, refuse_seen

if TYPE_CHECKING:
    import torch

    from ..workspace.voxel_store import VoxelStore
    from .classification import ClassificationTask
    from .segmentation import SegmentationTask

STAGE_VERSION = 2


@dataclass(frozen=True)
class FinetuneResult:
    """What fine-tuning tells.

    Attributes:
        run: Name of the model folder.
        task: "segmentation" or "classification".
        init: Weights it started from.
        model: Path of the model folder.
        validation: Scores on the validation subjects, None without any: ``{class: mean Dice}`` on the prepared grid,
            or ``{"accuracy", "balanced_accuracy", "auroc"}``.
        test: The same on the test subjects for a classification; None for a segmentation, which ``evaluate`` scores.
        notes: Who parted the people, how many there are on each side, and whom the initial weights have seen of those
            who validate: that is allowed, as their scores only watch.
    """

    run: str
    task: str
    init: str
    model: str
    validation: dict[str, float | None] | None
    test: dict[str, float | None] | None = None
    notes: list[str] = field(default_factory=list)
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
        InputError: The initial weights do not fit the network, or the table of labels the prepared cases.
        LeakageError: A test subject was seen in training or in pre-training.
        WorkspaceError: An earlier stage is missing.
    """
    prepared = workspace.require(workspace.prepared, "prepare")
    init = find_init(config, workspace)
    check_name(init.network, config.task)
    cases = read_manifest(workspace.prepared)
    table = None if config.table is None else read_label_table(Path(config.table), cases)
    folder = workspace.finetuning / config.run_name
    labels = None if table is None else table.identity
    identity = fingerprint("finetune", STAGE_VERSION, config.identity(), prepared.fingerprint, init.identity, labels)
    if (record := completed(folder, identity)) is not None:
        return FinetuneResult(**{**record.result, "model": str(folder), "done_before": True})
    people = choose_people(config, cases, table)
    refuse_seen(init.seen, people.test, config.init, cases)
    warn_where_unknown(init.seen, config.init)
    started = time.time()
    with workspace.lock(f"finetuning-{config.run_name}"):
        (folder / RECORD).unlink(missing_ok=True)
        validation, test = _train(config, workspace, prepared.config, init, people, table, identity, progress)
        result = FinetuneResult(
            config.run_name, config.task, config.init, str(folder), validation, test, _notes(config, init, people)
        )
        shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
        write_record(folder, StageRecord("finetune", identity, shown, asdict(result), seconds))
    return result


def _train(
    config: FinetuneConfig,
    workspace: Workspace,
    prepare: dict[str, Any],
    init: Init,
    people: People,
    table: LabelTable | None,
    identity: str,
    progress: Progress,
) -> tuple[dict[str, float | None] | None, dict[str, float | None] | None]:
    """Trains, writes the model and the test predictions; returns the scores of validation and test people."""
    from ..training.precision import choose_device, limit_threads
    from ..workspace.voxel_store import VoxelStore
    from .loop import train
    from .model_folder import write_model

    device = choose_device(config.device)
    limit_threads(config.threads)
    folder = workspace.finetuning / config.run_name
    if prepare.get("protocol") == "cube128":
        config = config.model_copy(update={"patch_size": people.train[0].shape[0]})
    task = _task(config, VoxelStore(workspace.prepared), people, table, folder, device)
    network = build_network(config, init, task.num_classes, folder)
    total = config.steps + len(people.test)
    train(network, task, config, folder, identity, device, lambda done, _, note="": progress(done, total, note))
    write_model(folder, network, _facts(config, prepare, init, people, table), _seen(init, people))
    test = task.predict(network, lambda done: progress(config.steps + done, total, "predicting"))
    validation = task.validate(network)
    return None if validation is None else dict(validation), None if test is None else dict(test)


def _task(
    config: FinetuneConfig,
    store: VoxelStore,
    people: People,
    table: LabelTable | None,
    folder: Path,
    device: torch.device,
) -> SegmentationTask | ClassificationTask:
    if table is None:
        from .segmentation import SegmentationTask

        return SegmentationTask(config, store, people, folder, device)
    from .classification import ClassificationTask

    return ClassificationTask(config, store, people, table, folder, device)


def _facts(
    config: FinetuneConfig, prepare: dict[str, Any], init: Init, people: People, table: LabelTable | None
) -> dict[str, Any]:
    entries = class_entries(config) if table is None else [{"name": name} for name in table.classes]
    return {
        "task": config.task,
        "network": init.network,
        "num_classes": len(entries) + (table is None),
        "classes": entries,
        "arm": config.arm_name,
        "seed": config.seed,
        "init": config.init,
        "initial_weights": None if init.weights is None else init.seen.as_json(),
        "patch_size": config.patch_size,
        "overlap": config.overlap,
        "volume_input": config.volume_input,
        "train": sorted({case.subject for case in people.train}),
        "validation": sorted({case.subject for case in people.validation}),
        "test": sorted({case.subject for case in people.test}),
        "test_cases": [case.id for case in people.test],
        "split": people.split,
        "train_voxel_sha256": [case.voxel_sha256 for case in people.train],
        "train_content_sha256": [key for case in people.train if (key := content_key(case))],
        "prepare": prepare,
    }


def _seen(init: Init, people: People) -> Seen:
    """Whom the model has seen: its training and validation people, and those of its initial weights."""
    return init.seen.and_cases([*people.train, *people.validation])


def _notes(config: FinetuneConfig, init: Init, people: People) -> list[str]:
    known = sorted({case.subject for case in people.validation if init.seen.has_seen(case)})
    seen = [f"pre-training {config.init} has seen the validation people {', '.join(known)}"] if known else []
    return [people.told(), *seen]
