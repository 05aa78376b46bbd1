"""The baselines of segmentation in the fine-tuning loop, from crops to a model folder that predicts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from learned_workspace import copy_of, finetune_config

from med3dinsight.finetuning.inference import predict_scores
from med3dinsight.finetuning.model_folder import read_model
from med3dinsight.finetuning.run import run
from med3dinsight.workspace.voxel_store import VoxelStore


@pytest.mark.slow
@pytest.mark.parametrize("network", ["unet_tiny", "attention_unet_tiny", "med3d_tiny", "nnunet_tiny", "transunet_tiny"])
def test_a_baseline_learns_a_person_by_heart_by_the_command(ready_once: Path, tmp_path: Path, network: str) -> None:
    work = copy_of(ready_once, tmp_path)
    choices = {"network": network, "patch_size": 32, "steps": 100, "learning_rate": 1e-2, "contrast_augmentation": 0.0}
    run(finetune_config(run="baseline", **choices), work)
    assert (work.finetuning / "baseline/predictions/bert-image.nii.gz").exists()
    model, _ = read_model(work.finetuning / "baseline")
    store = VoxelStore(work.prepared)
    label = store.label("anna-image")
    predicted = predict_scores(model, store.volume("anna-image"), 32, 0.5, torch.device("cpu")).argmax(0)
    for value in (1, 2):
        overlap = ((predicted == value) & (label == value)).sum()
        assert 2 * overlap / ((predicted == value).sum() + (label == value).sum()) > 0.7
