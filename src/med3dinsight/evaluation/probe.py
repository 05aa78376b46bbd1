"""The frozen voxel probe of pre-trained encoders beside several random ones."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.leakage import Scans, described
from ..encoders.seen import UNKNOWN, seen_in, warn_where_unknown
from ..errors import ConfigError, InputError, LeakageError
from ..records import Case
from ..types import Progress, silent
from ..volumes.labels import annotated_classes
from ..workspace import Workspace
from ..workspace.files import read_json, write_json
from ..workspace.provenance import RECORD, StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import VoxelStore, read_manifest
from .readout_config import ProbeConfig

if TYPE_CHECKING:
    from torch import nn

STAGE_VERSION = 1
Scores = dict[str, Any]


@dataclass(frozen=True)
class ProbeResult:
    """What the probe tells; ``probe`` is the path of the JSON file, ``arms`` its content."""

    probe: str
    arms: dict[str, Scores]
    done_before: bool = False


def run_probe(config: ProbeConfig, workspace: Workspace, *, progress: Progress = silent) -> ProbeResult:
    """Probes frozen encoders on unseen people; writes ``evaluation/probe.json``.

    A random encoder's features separate tissues too, and by how much depends on the draw: the baseline is several.

    Args:
        config: See :class:`ProbeConfig`.
        workspace: With finished pre-training runs.
        progress: Told the encoders done.

    Raises:
        ConfigError: A subject has no fitting labels, or there is no run.
        InputError: The training or the test people show less than two of the classes.
        LeakageError: A test subject was seen in pre-training or trains the classifier.
        WorkspaceError: An earlier stage is missing.
    """
    runs = config.runs or tuple(sorted(path.parent.name for path in workspace.pretraining.glob("*/stage.json")))
    if not runs:
        raise ConfigError("there is no pre-training run to probe", "run `med3dinsight pretrain` first")
    records = {run: workspace.require_current(workspace.pretraining / run, f"pretrain --run {run}") for run in runs}
    folder, path = workspace.evaluation / "probe", workspace.evaluation / "probe.json"
    inputs = {run: record.fingerprint for run, record in records.items()}
    identity = fingerprint("probe", STAGE_VERSION, config.identity(), inputs)
    if (record := completed(folder, identity if path.exists() else "its output is gone")) is not None:
        return ProbeResult(str(path), record.result["arms"], done_before=True)
    started = time.time()
    train, test = _choose_cases(config, workspace, runs)
    with workspace.lock("probe"):
        (folder / RECORD).unlink(missing_ok=True)
        arms = _probe_all(config, workspace, runs, train, test, progress)
        write_json(path, arms)
        result = ProbeResult(str(path), arms)
        shown, seconds = config.model_dump(mode="json"), round(time.time() - started, 3)
        write_record(folder, StageRecord("probe", identity, shown, asdict(result), seconds))
    return result


def _entries(config: ProbeConfig) -> list[dict[str, Any]]:
    return [{"name": name, "match": list(match)} for name, match in config.classes.items()]


def _choose_cases(config: ProbeConfig, workspace: Workspace, runs: tuple[str, ...]) -> tuple[list[Case], list[Case]]:
    entries = _entries(config)
    everybody = read_manifest(workspace.prepared)
    labelled = [case for case in everybody if case.has_label and all(annotated_classes(case.label_names, entries))]
    if shared := set(config.train) & set(config.test):
        raise LeakageError(f"subject {sorted(shared)[0]} trains and tests the probe", "name each subject once")
    for subject in (*config.train, *config.test):
        if subject not in {case.subject for case in labelled}:
            raise ConfigError(f"subject {subject} has no case labelled for every class", "choose other subjects")
    train, test = ([case for case in labelled if case.subject in side] for side in (config.train, config.test))
    scans = Scans(train)
    for case in test:
        if (twin := scans.copy_of(case)) is not None:
            raise LeakageError(
                f"the voxels of test case {described(case)} also train the probe, as {described(twin)}",
                "leave one of the copies out",
            )
    for run in runs:
        seen = seen_in(read_json(workspace.pretraining / run / "encoder.json"))
        warn_where_unknown(seen, f"that {run} started from")
        for case in test:
            if seen.has_seen(case):
                raise LeakageError(
                    f"{case.id} was seen in pre-training run {run}: {seen.sighting(case, everybody)}", "test on others"
                )
    return train, test


def _probe_all(
    config: ProbeConfig,
    workspace: Workspace,
    runs: tuple[str, ...],
    train: list[Case],
    test: list[Case],
    progress: Progress,
) -> dict[str, Scores]:
    from ..encoders.registry import create_encoder
    from ..training.precision import limit_threads
    from ..training.seeding import seed_weights

    limit_threads(config.threads)
    facts = {run: read_json(workspace.pretraining / run / "encoder.json") for run in runs}
    kinds = sorted({(row["encoder"], int(row["image_size"])) for row in facts.values()})
    total = len(runs) + config.random_inits * len(kinds)
    arms: dict[str, Scores] = {}
    done = 0
    for name, size in kinds:
        draws = []
        for number in range(config.random_inits):
            seed_weights(config.seed + 1000 + number)
            draws.append(_probe_one(config, workspace, create_encoder(name, image_size=size), size, train, test))
            progress(done := done + 1, total, f"random {name} {number}")
        means = [draw["mean_auc"] for draw in draws]
        arms[f"random {name}"] = {
            "mean_auc": float(np.mean(means)),
            "lowest": min(means),
            "highest": max(means),
            "by_init": draws,
        }
    for run in runs:
        weights = workspace.pretraining / run / "encoder.safetensors"
        size = int(facts[run]["image_size"])
        encoder = create_encoder(facts[run]["encoder"], image_size=size, pretrained=weights)
        arms[run] = _probe_one(config, workspace, encoder, size, train, test)
        if not seen_in(facts[run]).known:
            arms[run]["seen"] = UNKNOWN
        progress(done := done + 1, total, run)
    return arms


def _probe_one(
    config: ProbeConfig, workspace: Workspace, encoder: nn.Module, size: int, train: list[Case], test: list[Case]
) -> Scores:
    from ..readouts.probe import probe_auc
    from ..readouts.tissue import Draw, tissue_features
    from ..training.precision import choose_device

    device = choose_device(config.device)
    store = VoxelStore(workspace.prepared)
    draw = Draw(tuple(_entries(config)), config.voxels_per_class, config.seed)
    sides: list[Any] = []
    for side, cases in (("training", train), ("test", test)):
        features, classes = tissue_features(encoder.to(device).eval(), store, cases, draw, size, device)
        if len(np.unique(classes)) < 2:
            raise InputError(f"the {side} people show less than two of the classes", "name other people or classes")
        sides += [features, classes]
    auc = probe_auc(*sides)
    names = list(config.classes)
    return {"mean_auc": float(np.mean(list(auc.values()))), "auc": {names[k - 1]: v for k, v in auc.items()}}
