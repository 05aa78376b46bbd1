"""Which volumes convolutional networks take; refusals name sizes that fit."""

from __future__ import annotations

import pytest
import torch

from med3dinsight.errors import ConfigError
from med3dinsight.networks import create_network
from med3dinsight.networks.input_sizes import InputSizes

POOLED = InputSizes(lambda edge: edge // 16, instance_norm=True)
STRIDED = InputSizes(lambda edge: edge // 8, multiple=8)


def test_sizes_that_fit_pass() -> None:
    POOLED.check(torch.zeros(1, 1, 16, 16, 37), training=True)
    STRIDED.check(torch.zeros(1, 1, 8, 8, 16), training=True)
    STRIDED.check(torch.zeros(2, 1, 8, 8, 8), training=True)
    STRIDED.check(torch.zeros(1, 1, 8, 8, 8), training=False)


def test_refusals_say_what_would_fit() -> None:
    with pytest.raises(ConfigError, match=r"a volume of 8 x 8 x 12 voxels does not fit .* multiples of 8") as caught:
        STRIDED.check(torch.zeros(2, 1, 8, 8, 12), training=False)
    assert caught.value.hint == "use a multiple of 8, such as 8 x 8 x 16"
    with pytest.raises(ConfigError, match="a cube of 15 voxels is too small") as caught:
        POOLED.check_cube(15)
    assert caught.value.hint == "use edges of at least 32 voxels"
    with pytest.raises(ConfigError, match="a volume of 15 x 16 x 64 voxels is too small") as caught:
        POOLED.check(torch.zeros(1, 1, 15, 16, 64), training=False)
    assert caught.value.hint == "use edges of at least 16 voxels"


def test_one_value_to_normalise_is_refused() -> None:
    with pytest.raises(ConfigError, match="a cube of 16 voxels leaves one voxel to normalise") as caught:
        POOLED.check(torch.zeros(4, 1, 16, 16, 16), training=False)
    assert caught.value.hint == "use edges of at least 32 voxels"
    with pytest.raises(ConfigError, match="leaves one voxel to normalise") as caught:
        STRIDED.check(torch.zeros(1, 1, 8, 8, 8), training=True)
    assert caught.value.hint == "use edges of at least 16 voxels, or a batch of 2 or more"


@pytest.mark.parametrize(
    ("task", "name", "size", "hint"),
    [
        ("segmentation", "unet", 24, "use edges of at least 32 voxels"),
        ("segmentation", "attention_unet", 40, "use a multiple of 16, such as 48"),
        ("segmentation", "nnunet", 100, "use a multiple of 32, such as 128"),
        ("segmentation", "nnunet", 32, "use edges of at least 64 voxels"),
        ("segmentation", "transunet", 16, "use a multiple of 32, such as 64"),
        ("classification", "densenet121_3d", 28, "use edges of at least 29 voxels"),
        ("classification", "mrnet", 62, "use edges of at least 63 voxels"),
        ("classification", "m3t_tiny", 1, "use edges of at least 2 voxels, or a smaller slice_stride"),
    ],
)
def test_a_baseline_built_for_a_size_that_it_does_not_take_says_so_at_once(
    task: str, name: str, size: int, hint: str
) -> None:
    with torch.device("meta"), pytest.raises(ConfigError) as caught:
        create_network(name, 2, task=task, image_size=size)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("task", "name", "smallest"),
    [
        ("segmentation", "unet_tiny", (16, 16, 32)),
        ("segmentation", "attention_unet_tiny", (4, 4, 4)),
        ("segmentation", "med3d_tiny", (1, 1, 1)),
        ("segmentation", "nnunet_tiny", (8, 8, 16)),
        ("segmentation", "transunet_tiny", (8, 8, 16)),
        ("classification", "resnet50_3d_tiny", (1, 1, 1)),
        ("classification", "densenet121_3d_tiny", (29, 29, 29)),
        ("classification", "mrnet_tiny", (29, 29, 29)),
        ("classification", "m3t_tiny", (2, 2, 2)),
    ],
)
def test_the_smallest_volumes_that_are_taken_run_and_one_voxel_less_is_refused(
    task: str, name: str, smallest: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    network = create_network(name, 2, task=task, image_size=32)
    assert network(torch.rand(2, 1, *smallest)).isfinite().all()
    if min(smallest) > 1:
        x, y, z = smallest
        with pytest.raises(ConfigError):
            network(torch.rand(2, 1, x - 1, y - 1, z - 1))


@pytest.mark.parametrize(
    ("task", "name", "size"),
    [
        ("segmentation", "attention_unet_tiny", 4),
        ("segmentation", "med3d_tiny", 8),
        ("classification", "resnet50_3d_tiny", 32),
        ("classification", "medicalnet_tiny", 32),
        ("classification", "densenet121_3d_tiny", 32),
    ],
)
def test_batch_norm_of_one_value_is_refused_in_training_and_fine_in_evaluation(task: str, name: str, size: int) -> None:
    torch.manual_seed(0)
    network = create_network(name, 2, task=task, image_size=32)
    volume = torch.rand(1, 1, size, size, size)
    with pytest.raises(ConfigError, match="leaves one voxel to normalise"):
        network(volume)
    assert network.eval()(volume).isfinite().all()
