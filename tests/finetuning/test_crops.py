from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from learned_workspace import finetune_config, make_scan

from med3dinsight.finetuning.crops import draw_crops
from med3dinsight.finetuning.labelled_volume import LabelledVolume

Stored = Callable[..., list[LabelledVolume]]


@pytest.fixture
def volume(stored: Stored) -> LabelledVolume:
    """A volume whose voxels are 60 times its label plus 20, so that one can be told from the other."""
    _, label = make_scan(0, (40, 22, 30))
    return stored((label * 60 + 20, label))[0]


def test_voxels_and_labels_of_a_crop_belong_together(volume: LabelledVolume) -> None:
    config = finetune_config(batch_size=8, contrast_augmentation=0.0)
    for step in range(5):
        images, labels = draw_crops([volume], config, step)
        assert images.shape == (8, 1, 16, 16, 16)
        assert labels.shape == (8, 16, 16, 16)
        assert torch.allclose(images[:, 0] * 255, labels.float() * 60 + 20, atol=1e-3)


def test_contrast_is_changed_in_the_image_alone(volume: LabelledVolume) -> None:
    plain = draw_crops([volume], finetune_config(contrast_augmentation=0.0), 0)
    curved = draw_crops([volume], finetune_config(contrast_augmentation=1.0), 0)
    assert torch.equal(plain[1], curved[1])
    assert not torch.allclose(plain[0], curved[0], atol=0.02)
    for value in (0, 1, 2):
        levels = curved[0][0, 0][curved[1][0] == value]
        assert levels.numel() == 0 or levels.max() - levels.min() < 1e-6


def test_crops_around_foreground_hold_every_class_equally_often(volume: LabelledVolume) -> None:
    """The gap is a third of the ball in size and still drawn as often."""
    config = finetune_config(batch_size=1, foreground_share=1.0)
    holds = np.zeros(3)
    for step in range(60):
        _, labels = draw_crops([volume], config, step)
        present = set(labels.unique().tolist())
        assert present & {1, 2}
        holds[list(present)] += 1
    assert holds[1:].min() > 20


def test_random_crops_cover_the_whole_volume(stored: Stored) -> None:
    ramp = np.arange(40, dtype=np.uint8)[:, None, None] + np.zeros((40, 22, 30), dtype=np.uint8)
    (blank,) = stored((ramp, np.zeros_like(ramp)))
    config = finetune_config(batch_size=4, contrast_augmentation=0.0, foreground_share=1.0)
    seen = {
        round(float(value)) for step in range(25) for value in (draw_crops([blank], config, step)[0] * 255).unique()
    }
    assert seen == set(range(40))


def test_a_volume_smaller_than_a_crop_lies_in_its_middle(stored: Stored) -> None:
    tiny = stored((np.full((6, 16, 40), 200, np.uint8), np.ones((6, 16, 40), np.uint8)))
    for share in (0.0, 1.0):
        images, labels = draw_crops(tiny, finetune_config(foreground_share=share, contrast_augmentation=0.0), 0)
        shown = (images[:, 0] > 0).any(3).any(2)
        assert shown[:, 5:11].all()
        assert not shown[:, :5].any()
        assert not shown[:, 11:].any()
        assert torch.equal(labels.bool(), images[:, 0] > 0)


def test_the_same_step_draws_the_same_crops(volume: LabelledVolume) -> None:
    one, again, other = (draw_crops([volume], finetune_config(), step) for step in (3, 3, 4))
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[0], other[0])


def test_volumes_are_drawn_equally_often(stored: Stored) -> None:
    volumes = stored(*((np.full((16,) * 3, 10 * k, np.uint8), np.zeros((16,) * 3, np.uint8)) for k in (1, 2, 3)))
    config = finetune_config(batch_size=30, contrast_augmentation=0.0)
    drawn = (draw_crops(volumes, config, 0)[0][:, 0, 0, 0, 0] * 255).round().int().tolist()
    assert min(drawn.count(value) for value in (10, 20, 30)) >= 4
