"""nnU-Net's recipe: its crops, optimiser, schedule and deep supervision, through the real fine-tuning stage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learned_workspace import KilledError, copy_of, finetune_config, killed_after, make_scan

from med3dinsight.finetuning import nnunet_crops, segmentation
from med3dinsight.finetuning.config import FinetuneConfig
from med3dinsight.finetuning.inference import predict_scores
from med3dinsight.finetuning.labelled_volume import LabelledVolume
from med3dinsight.finetuning.model_folder import read_model
from med3dinsight.finetuning.nnunet_crops import draw_nnunet_crops
from med3dinsight.finetuning.recipes import RECIPES
from med3dinsight.finetuning.run import run
from med3dinsight.metrics.overlap import dice_scores
from med3dinsight.training.spatial_augmentation import Placement
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_store import VoxelStore


def nnunet_config(**changes: Any) -> FinetuneConfig:
    small = finetune_config().model_dump(exclude={"learning_rate", "weight_decay", "gradient_clip", "foreground_share"})
    return FinetuneConfig(**{**small, "recipe": "nnunet", **changes})


@pytest.fixture
def work(ready_once: Path, tmp_path: Path) -> Workspace:
    """Anna, bert and cleo, prepared."""
    return copy_of(ready_once, tmp_path)


@pytest.fixture
def volume(stored: Callable[..., list[LabelledVolume]]) -> LabelledVolume:
    """Voxels are 60 times their label plus 20."""
    _, label = make_scan(0, (40, 30, 30))
    return stored((label * 60 + 20, label))[0]


def test_its_numbers_are_nnunets_unless_given() -> None:
    config = nnunet_config()
    assert (config.learning_rate, config.weight_decay, config.gradient_clip) == (0.01, 3e-5, 12.0)
    assert config.foreground_share == 0.33
    assert nnunet_config(learning_rate=0.1).learning_rate == 0.1
    plain = finetune_config()
    assert (plain.learning_rate, plain.weight_decay, plain.gradient_clip) == (3e-3, 0.01, 1.0)


def test_its_optimiser_is_sgd_with_nesterovs_momentum_and_its_schedule_that_of_torch() -> None:
    config = nnunet_config(steps=20)
    recipe = RECIPES["nnunet"]
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = recipe.optimizer([parameter], config)
    assert isinstance(optimizer, torch.optim.SGD)
    (group,) = optimizer.param_groups
    assert (group["momentum"], group["nesterov"], group["weight_decay"], group["lr"]) == (0.99, True, 3e-5, 0.01)
    schedule = torch.optim.lr_scheduler.PolynomialLR(torch.optim.SGD([parameter], lr=1.0), total_iters=20, power=0.9)
    for step in range(20):
        assert recipe.rate(step, config) == pytest.approx(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()


def test_one_crop_of_two_holds_foreground_and_the_other_lies_anywhere(volume: LabelledVolume) -> None:
    first, second = [], []
    for step in range(60):
        _, labels = draw_nnunet_crops([volume], nnunet_config(patch_size=12), step)
        first.append(bool(labels[0].any()))
        second.append(bool(labels[1].any()))
    assert np.mean(second) > 0.95, "a turned crop may miss a voxel at its edge"
    assert np.mean(first) < 0.9


def test_voxels_and_labels_of_a_crop_go_together(volume: LabelledVolume) -> None:
    """Where nothing but gamma, brightness and the like was done, every label has an intensity of its own."""
    together = 0
    for step in range(20):
        images, labels = draw_nnunet_crops([volume], nnunet_config(batch_size=2), step)
        assert images.shape == (2, 1, 16, 16, 16)
        assert images.dtype == torch.float32
        for image, label in zip(images[:, 0], labels, strict=True):
            means = [float(image[label == value].mean()) for value in (0, 1, 2) if (label == value).sum() > 20]
            together += means == sorted(means)
    assert together >= 38


def test_crops_are_turned_in_millimetres(
    monkeypatch: pytest.MonkeyPatch, stored: Callable[..., list[LabelledVolume]]
) -> None:
    turned = Placement((0.0, 30.0, 0.0), 1.0, (False, False, False))
    monkeypatch.setattr(nnunet_crops, "draw_placement", lambda _: turned)
    x, y, z = np.ogrid[-7.5:8, -7.5:8, -7.5:8]
    ball = ((x**2 + y**2 + (3 * z) ** 2) < 49).astype(np.uint8)
    volumes = stored((ball * 60 + 20, ball), spacing_mm=(1.0, 1.0, 3.0))
    _, labels = draw_nnunet_crops(volumes, nnunet_config(patch_size=16), 0)
    assert dice_scores(labels[0].numpy().astype(np.uint8), ball, [1])[1] > 0.9


def test_the_same_step_draws_the_same_crops(volume: LabelledVolume) -> None:
    one, again, other = (draw_nnunet_crops([volume], nnunet_config(), step) for step in (3, 3, 4))
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[0], other[0])


@pytest.mark.parametrize(("network", "outputs"), [("conv_tiny", 1), ("nnunet_tiny", 3)])
def test_networks_that_can_learn_at_all_their_resolutions_and_predict_at_one(
    work: Workspace, monkeypatch: pytest.MonkeyPatch, network: str, outputs: int
) -> None:
    seen: list[int] = []
    original = segmentation.deep_supervision_loss

    def counting(scores: list[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        seen.append(len(scores))
        return original(scores, labels)

    monkeypatch.setattr(segmentation, "deep_supervision_loss", counting)
    run(nnunet_config(network=network, steps=2, validation=("cleo",)), work)
    assert seen == [outputs] * 2
    log = [json.loads(line) for line in (work.finetuning / "scratch-s0/log.jsonl").read_text().splitlines()]
    assert log[-1]["learning_rate"] == pytest.approx(0.01 * 0.5**0.9)


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(work: Workspace) -> None:
    run(nnunet_config(run="undisturbed", network="nnunet_tiny"), work)
    config = nnunet_config(run="killed", network="nnunet_tiny", checkpoint_every=2)
    with pytest.raises(KilledError):
        run(config, work, progress=killed_after(3))
    run(config, work)
    weights = [(work.finetuning / name / "model.safetensors").read_bytes() for name in ("undisturbed", "killed")]
    assert weights[0] == weights[1]


def test_it_can_learn_a_person_by_heart(work: Workspace) -> None:
    """Momentum .99 is slow to start: at these few steps the rate is higher than nnU-Net's."""
    run(nnunet_config(network="nnunet_tiny", steps=60, learning_rate=0.02, checkpoint_every=60, batch_size=3), work)
    network, facts = read_model(work.finetuning / "scratch-s0")
    store = VoxelStore(work.prepared)
    scores = predict_scores(network, store.volume("anna-image"), facts["patch_size"], 0.5, torch.device("cpu"))
    dice = dice_scores(scores.argmax(0).astype(np.uint8), store.label("anna-image").astype(np.uint8), (1, 2))
    assert min(value or 0 for value in dice.values()) > 0.7
