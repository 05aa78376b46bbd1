"""One cell: pre-train, probe, localise, fine-tune, score; the same schedule for every arm of an encoder."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from experiments.simulated_people.population import FOLDS, build_population, fold_workspace, held_out, simulated_names

from med3dinsight.finetuning.config import FinetuneConfig
from med3dinsight.finetuning.run import run as finetune
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.methods import find_method
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.files import read_json, write_json

SCALE = "scale.json"
#: How every arm is optimised, whatever its method does by itself.
BUDGET: Mapping[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.05,
    "decayed": "matrices",
    "schedule": "cosine",
    "gradient_clip": 1.0,
}
#: Strength of random contrast curves, for methods that change contrasts.
CONTRAST = 0.6
#: How each encoder is fine-tuned. The position table of the ViT belongs to crops of the size of pre-training.
FINETUNING: Mapping[str, Mapping[str, Any]] = {
    "conv_tiny": {"patch_size": 32, "batch_size": 4, "learning_rate": 3e-3},
    "vit_tiny": {"patch_size": 64, "batch_size": 2, "learning_rate": 3e-3},
}


@dataclass(frozen=True)
class Scale:
    """How much is done, the same for all cells of a work folder; written there once and never changed.

    Attributes:
        pretraining_steps, batch_volumes: Of every pre-training run.
        finetuning_steps: Of every fine-tuning run.
        simulated: Simulated people a fold.
        crops: Crops a volume.
    """

    pretraining_steps: int = 100
    batch_volumes: int = 8
    finetuning_steps: int = 150
    simulated: int = 12
    crops: int = 30


SMOKE = Scale(pretraining_steps=3, batch_volumes=4, finetuning_steps=3, simulated=1, crops=3)


@dataclass(frozen=True)
class Arm:
    """What is compared: how it differs in pre-training, and what it is scored by.

    Attributes:
        pretrain: Settings of ``[pretrain]``; None where nothing is pre-trained and fine-tuning starts from scratch.
        probe, localize, finetune: What it is scored by.
        source: The experiment whose pre-training run of the same arm it takes over, where it has none of its own.
        schedule: Settings of ``[finetune]`` by encoder, in the place of this module's.
    """

    pretrain: Mapping[str, Any] | None = field(default_factory=dict)
    probe: bool = True
    localize: bool = False
    finetune: bool = False
    source: str | None = None
    schedule: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def fix_scale(work: Path, scale: Scale) -> None:
    """Writes the scale into a new work folder, or refuses another one than it was begun with."""
    path = work / SCALE
    work.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_json(path, asdict(scale))
    if read_json(path) != asdict(scale):
        raise SystemExit(f"{work} was begun with {path.read_text()}; take another folder")


def measure(cell: dict[str, Any], work: Path) -> dict[str, Any]:
    """Turns a cell into numbers; a call that was interrupted goes on from its last checkpoint."""
    from experiments.plan import arm_of

    from med3dinsight.training.precision import limit_threads

    limit_threads(1)
    scale = Scale(**json.loads((work / SCALE).read_text()))
    if cell["experiment"] == "population":
        return build_population(work, simulated=scale.simulated, crops=scale.crops)
    arm = arm_of(cell)
    workspace = fold_workspace(work, cell["fold"])
    person, train = FOLDS[cell["fold"]]
    simulated = simulated_names(cell["fold"], scale.simulated)
    run = run_name(cell)
    result: dict[str, Any] = {
        "person": person,
        "settings": dict(arm.pretrain or {}),
        "commit": _commit(),
        "seconds": {},
    }
    timed = _Stopwatch(result["seconds"])
    if arm.pretrain is not None:
        trained = timed("pretrain", lambda: pretrain(pretraining(cell, scale), workspace))
        result |= {"final_loss": trained.final_loss, "collapsed": trained.collapsed}
    from experiments import scores

    if arm.probe:
        result["probe"] = timed("probe", lambda: scores.probe(workspace, run, train, [person, *simulated]))
    if arm.localize:
        result["localization"] = timed("localize", lambda: scores.localization(workspace, run, person, simulated))
    if arm.finetune:
        timed("finetune", lambda: finetune(finetuning(cell, scale), workspace))
        result["dice"] = timed("dice", lambda: scores.dice(workspace, run, person, simulated))
    _tidy(workspace, run)
    return result


def pretraining(cell: dict[str, Any], scale: Scale) -> PretrainConfig:
    """The settings of a cell's pre-training run."""
    from experiments.plan import arm_of

    settings = {
        "run": pretrained_name(cell),
        "encoder": cell["encoder"],
        "seed": int(cell["seed"]),
        "steps": scale.pretraining_steps,
        "batch_volumes": scale.batch_volumes,
        "warmup_steps": min(20, scale.pretraining_steps // 2),
        **BUDGET,
        "held_out": held_out(cell["fold"], scale.simulated),
        "crops_per_volume": scale.crops,
        "device": "cpu",
        "threads": 1,
    }
    chosen = {**settings, **(arm_of(cell).pretrain or {})}
    if "contrast_augmentation" in find_method(chosen.get("method", "insight")).reads:
        chosen.setdefault("contrast_augmentation", CONTRAST)
    return PretrainConfig(**chosen)


def finetuning(cell: dict[str, Any], scale: Scale) -> FinetuneConfig:
    """The settings of a cell's fine-tuning run, from its pre-training run unless it starts from scratch."""
    from experiments.plan import arm_of
    from experiments.scores import CLASSES

    person, train = FOLDS[cell["fold"]]
    arm = arm_of(cell)
    schedule = {"steps": scale.finetuning_steps, **FINETUNING[cell["encoder"]]}
    if scale == Scale():
        schedule |= arm.schedule.get(cell["encoder"], {})
    return FinetuneConfig(
        run=run_name(cell),
        arm=str(cell["arm"]),
        init="scratch" if arm.pretrain is None else pretrained_name(cell),
        network=cell["encoder"],
        classes=CLASSES,
        train=train,
        test=(person, *simulated_names(cell["fold"], scale.simulated)),
        seed=int(cell["seed"]),
        warmup_steps=min(10, scale.finetuning_steps // 2),
        contrast_augmentation=0.3,
        overlap=0.25,
        device="cpu",
        threads=1,
        **schedule,
    )


def pretrained_name(cell: dict[str, Any]) -> str:
    """Name of the pre-training run that a cell makes, or takes over from another experiment's cell."""
    from experiments.plan import arm_of

    return run_name({**cell, "experiment": arm_of(cell).source or cell["experiment"]})


def run_name(cell: dict[str, Any]) -> str:
    """Name of a cell's folders in the workspace of its fold."""
    return "-".join(str(cell[name]) for name in ("experiment", "arm", "encoder")) + f"-s{cell['seed']}"


def _commit() -> str | None:
    """The version of the repository that runs, for the record."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _tidy(workspace: Workspace, run: str) -> None:
    """Drops what nobody reads again; encoders, PSATs and logs stay."""
    (workspace.pretraining / run / "checkpoint.pt").unlink(missing_ok=True)
    for name in ("checkpoint.pt", "model.safetensors"):
        (workspace.finetuning / run / name).unlink(missing_ok=True)
    shutil.rmtree(workspace.finetuning / run / "predictions", ignore_errors=True)


class _Stopwatch:
    """Notes the CPU seconds of each part of a cell."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds

    def __call__(self, name: str, action: Callable[[], Any]) -> Any:
        started = time.process_time()
        outcome = action()
        self.seconds[name] = round(time.process_time() - started, 2)
        return outcome
