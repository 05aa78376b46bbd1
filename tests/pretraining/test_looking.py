"""What a run tells while it trains: read-outs on watched people, collapse, TensorBoard; and what it would take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from learned_workspace import CLASSES, KilledError, killed_after, pretrain_config
from safetensors.torch import load_file

from med3dinsight.errors import ConfigError
from med3dinsight.pretraining.forecast import forecast
from med3dinsight.pretraining.run import run
from med3dinsight.training.run_log import read_log
from med3dinsight.workspace import Workspace


def config(**changes: Any) -> Any:
    return pretrain_config(**{"held_out": ("cleo",), **changes})


def watched(work: Workspace, name: str = "insight") -> list[dict[str, Any]]:
    return [row for row in read_log(work.pretraining / name / "log.jsonl") if "watched" in row]


def test_read_outs_look_at_watched_people_as_often_as_asked(work: Workspace) -> None:
    run(config(steps=5, readout_every=2, watch=("cleo",), watch_classes=CLASSES), work)
    rows = watched(work)
    assert [row["step"] for row in rows] == [2, 4, 5]
    for row in rows:
        told = row["watched"]
        assert told["localization_mm"] > 0
        assert told["blind_guess_mm"] > 0
        assert 0 < told["crops"] < told["slices"]
        assert told["wrong_volume_mm"] > 0
        assert {"at_1", "at_5", "at_10"} == told["image_recall"].keys() == told["text_recall"].keys()
        assert told["modality_gap"].keys() == {"image-text", "image-volume", "text-volume"}
        assert 0 <= told["probe_auc"] <= 1
        assert 0 <= told["knn_accuracy"] <= 1


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "paper", "slices_per_volume": 1, "psat_width": 32, "psat_heads": 4},  # drops out
        {"method": "dino", "ema_decay": 0.9},  # teacher, centre and averages
        {"encoder": "i3resnet_tiny"},  # batch norm
    ],
    ids=str,
)
def test_looking_does_not_change_what_is_learned(work: Workspace, changes: dict[str, Any]) -> None:
    looking = {"readout_every": 1, "watch": ("cleo",), "watch_classes": CLASSES, "checkpoint_every": 1}
    run(config(run="blind", steps=3, **changes), work)
    run(config(run="watching", steps=3, **changes, **looking), work)
    assert len(watched(work, "watching")) == 3
    for file in (work.pretraining / "blind").glob("*.safetensors"):
        one, other = load_file(file), load_file(work.pretraining / "watching" / file.name)
        assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_how_often_is_looked_and_saved_is_not_part_of_what_a_run_is(work: Workspace) -> None:
    with pytest.raises(KilledError):
        run(config(checkpoint_every=1), work, progress=killed_after(3))
    done: list[int] = []
    looking = {"readout_every": 1, "watch": ("cleo",), "watch_classes": CLASSES}
    run(config(**looking, checkpoint_every=3), work, progress=lambda n, total, note="": done.append(n))
    assert done == [4]
    assert run(config(), work).done_before


def test_a_read_out_without_anybody_to_look_at_is_refused(work: Workspace) -> None:
    with pytest.raises(ConfigError, match="nobody is watched") as caught:
        run(config(readout_every=2), work)
    assert "pretrain.watch" in caught.value.hint
    with pytest.raises(ConfigError, match="nobody who is trained on is labelled"):
        run(config(readout_every=2, watch=("cleo",), watch_classes={"a": ("heart",), "b": ("liver",)}), work)


def test_the_log_goes_to_tensorboard_where_asked(work: Workspace) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run(config(steps=3, tensorboard=True, readout_every=3, watch=("cleo",)), work)
    events = reading.EventAccumulator(str(work.pretraining / "insight" / "tensorboard"))
    events.Reload()
    names = events.Tags()["scalars"]
    assert {"loss", "spread", "watched/localization_mm", "watched/image_recall/at_5"} <= set(names)
    logged = read_log(work.pretraining / "insight" / "log.jsonl")[0]["loss"]
    assert events.Scalars("loss")[0].value == pytest.approx(logged)


def test_tensorboard_that_is_missing_is_named(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        run(config(tensorboard=True), work)
    assert "med3dinsight[tensorboard]" in caught.value.hint


MEASURE = """
import json, sys
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.forecast import forecast
from med3dinsight.pretraining.run import run
from med3dinsight.workspace import Workspace
sys.path.insert(0, sys.argv[3])
from learned_workspace import TOWERS, ToyTowers, TowerEntry
config, workspace = PretrainConfig(**json.loads(sys.argv[2])), Workspace(sys.argv[1])
if sys.argv[4] == "forecast":
    print(json.dumps(forecast(config, workspace)["peak_memory_bytes"]))
else:
    print(json.dumps(run(config, workspace).peak_memory_bytes))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": "conv_tiny", "batch_volumes": 48},
        {"encoder": "conv_tiny", "batch_volumes": 48, "micro_batch": 8},
        {"encoder": "vit_tiny", "batch_volumes": 16, "method": "paper"},
        {"encoder": "unetr", "batch_volumes": 2},
        {"encoder": "conv_tiny", "method": "extended", "batch_volumes": 8, "slices_per_volume": 32},
        {"encoder": "resenc_tiny", "method": "simmim", "batch_volumes": 96},
        {"encoder": "vit_tiny", "method": "moco", "batch_volumes": 32},
    ],
    ids=str,
)
def test_the_forecast_of_memory_is_within_a_quarter_of_what_is_measured(
    work: Workspace, changes: dict[str, Any]
) -> None:
    settings = config(**{"steps": 3, "threads": 1, **changes}).model_dump_json()
    plugins = str(Path(__file__).parents[1] / "plugins")
    told = {
        what: int(
            subprocess.run(
                [sys.executable, "-c", MEASURE, str(work.root), settings, plugins, what],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for what in ("forecast", "run")
    }
    assert told["forecast"] == pytest.approx(told["run"], rel=0.25)


def test_a_forecast_computes_nothing_and_knows_the_encoder(work: Workspace) -> None:
    told = forecast(config(encoder="vit", batch_volumes=2, ot_iterations=20), work)
    assert told["parameters"] > 88e6
    # Weights, gradients and both moments of AdamW in fp32.
    assert told["peak_memory_bytes"] - told["of_which_process"] > 4 * 4 * 88e6
    few = {"encoder": "conv_tiny", "slices_per_volume": 1, "ot_iterations": 20}
    small = forecast(config(batch_volumes=2, **few), work)
    large = forecast(config(batch_volumes=512, **few), work)
    cut = forecast(config(batch_volumes=512, micro_batch=2, **few), work)
    used = [row["peak_memory_bytes"] - row["of_which_process"] for row in (small, large, cut)]
    assert used[0] < used[1] / 2
    assert used[2] < used[1] / 2
    assert json.dumps(told)


def test_a_forecast_counts_the_loss_of_all_pairs_and_what_transport_keeps(work: Workspace) -> None:
    """4 x 32 pairs: the unrolled logarithms of a plan keep two float64 matrices an iteration, the factors vectors."""

    def used(**changes: Any) -> int:
        told = forecast(
            config(method="extended", slices_per_volume=32, batch_volumes=4, reconstruction="none", **changes), work
        )
        return int(told["peak_memory_bytes"] - told["of_which_process"])

    matrix = 8 * (4 * 32) ** 2
    logarithms = [used(ot_iterations=count, ot_regularization=0.01) for count in (20, 40)]
    factors = [used(ot_iterations=count) for count in (20, 40)]
    assert logarithms[1] - logarithms[0] > 20 * 2 * matrix
    assert factors[1] - factors[0] < 20 * matrix
    assert used(ot_iterations=0) < logarithms[1]
