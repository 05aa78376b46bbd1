"""The baselines at full size take a step, at inputs small enough for two cores.

Those with batch norm get maps of more than one voxel: over two values alone it is a coin that any step may flip.
"""

from __future__ import annotations

import pytest
import torch

from med3dinsight.networks import create_network


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "name", "edge"),
    [
        ("segmentation", "unet", 32),
        ("segmentation", "attention_unet", 32),
        ("segmentation", "med3d", 32),
        ("segmentation", "nnunet", 64),
        ("segmentation", "transunet", 64),
        ("classification", "resnet50_3d", 64),
        ("classification", "medicalnet", 64),
        ("classification", "densenet121_3d", 64),
        ("classification", "mrnet", 64),
        ("classification", "m3t", 16),
    ],
)
def test_a_step_lowers_the_loss(task: str, name: str, edge: int) -> None:
    torch.manual_seed(0)
    network = create_network(name, 2, task=task, image_size=edge)
    batch = 1 if task == "segmentation" else 2
    volumes = torch.rand(batch, 1, edge, edge, edge)
    labels = (volumes[:, 0] > 0.5).long() if task == "segmentation" else torch.tensor([0, 1])
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    before = torch.nn.functional.cross_entropy(network(volumes), labels)
    before.backward()
    norm = torch.stack([p.grad.square().sum() for p in network.parameters() if p.grad is not None]).sum().sqrt()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.sub_(0.01 * parameter.grad / norm)
    after = torch.nn.functional.cross_entropy(network(volumes), labels)
    assert after < before
