"""Every encoder and every network refuses sizes that it cannot take before it is built, and names some that it can."""

from __future__ import annotations

import re

import pytest
import torch

from med3dinsight.encoders import ENCODERS, create_encoder
from med3dinsight.errors import ConfigError
from med3dinsight.networks import create_network
from med3dinsight.networks.registry import NETWORKS

#: ``(task, name)``; the task of an encoder is empty.
NAMES = [("", name) for name in ENCODERS] + [(task, name) for task, names in NETWORKS.items() for name in names]
#: A size that is no multiple, for those that take multiples only.
ODD = 33
TAKE_ODD = (
    {("", name) for name in ENCODERS if name.startswith(("conv", "i3resnet", "swin", "nnformer"))}
    | {("segmentation", name) for name in NETWORKS["segmentation"] if name.startswith(("conv", "unet", "med3d"))}
    | {("classification", name) for name in NETWORKS["classification"]}
) - {("segmentation", "unetr"), ("segmentation", "unetr_tiny")}


def build(task: str, name: str, size: int) -> torch.nn.Module:
    with torch.device("meta"):
        if not task:
            return create_encoder(name, image_size=size)
        return create_network(name, 2, task=task, image_size=size)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -16, ODD])
def test_sizes_that_cannot_be_are_refused_with_sizes_that_can(size: int) -> None:
    wrong = []
    for task, name in NAMES:
        if size == ODD and (task, name) in TAKE_ODD:
            continue
        try:
            build(task, name, size)
        except ConfigError as error:
            named = re.search(r"(?:such as|at least) (\d+)(?: or (\d+))?", error.hint)
            if f" {size} voxels" not in str(error) or named is None:
                wrong.append((task, name, str(error)))
            elif name.endswith("_tiny"):
                for good in filter(None, named.groups()):
                    build(task, name, int(good))
        else:
            wrong.append((task, name, "was built"))
    assert not wrong


@pytest.mark.parametrize("name", sorted(name for name in ENCODERS if name.endswith("_tiny")))
def test_a_volume_without_voxels_is_refused(name: str) -> None:
    encoder = create_encoder(name, image_size=32)
    with pytest.raises(ConfigError, match="32 x 0 x 32 voxels"):
        encoder(torch.zeros(1, 1, 32, 0, 32))
