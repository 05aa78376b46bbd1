"""Every baseline learns two samples by heart: its parts are joined so that gradients can do their work."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from med3dinsight.losses.segmentation import segmentation_loss
from med3dinsight.networks import create_network

Size = tuple[int, int, int]


def two_samples(size: Size) -> tuple[torch.Tensor, torch.Tensor]:
    """Volumes with two bright balls, each at another place in each volume, and the class of every voxel."""
    generator = torch.Generator().manual_seed(0)
    places = torch.stack(torch.meshgrid(*[torch.arange(edge) * 16 / edge for edge in size], indexing="ij"))
    labels = torch.zeros(2, *size, dtype=torch.long)
    for row, centres in enumerate([((5, 5, 9), (11, 11, 5)), ((10, 5, 5), (4, 11, 10))]):
        for number, centre in enumerate(centres, start=1):
            distance = (places - torch.tensor(centre).view(3, 1, 1, 1)).square().sum(0).sqrt()
            labels[row][distance < 4] = number
    noise = torch.rand(2, 1, *size, generator=generator)
    return labels[:, None] / 2 + 0.2 * noise, labels


@pytest.mark.parametrize(
    ("name", "size", "rate", "steps"),
    [
        ("unet_tiny", (32, 16, 16), 2e-2, 25),
        ("attention_unet_tiny", (16, 16, 16), 3e-2, 36),
        ("med3d_tiny", (32, 32, 32), 1e-2, 60),
        ("nnunet_tiny", (16, 16, 16), 2e-2, 25),
        ("transunet_tiny", (16, 16, 16), 3e-3, 40),
    ],
)
def test_a_segmenter_overfits_two_crops(name: str, size: Size, rate: float, steps: int) -> None:
    torch.manual_seed(0)
    network = create_network(name, 3, image_size=max(size))
    volumes, labels = two_samples(size)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(steps):
        loss = segmentation_loss(network(volumes), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        predicted = network.eval()(volumes).argmax(1)
    for number in (1, 2):
        overlap = ((predicted == number) & (labels == number)).sum()
        dice = 2 * overlap / ((predicted == number).sum() + (labels == number).sum())
        assert dice > 0.9


@pytest.mark.parametrize(
    ("name", "edge", "steps"),
    [
        ("resnet50_3d_tiny", 32, 60),
        ("medicalnet_tiny", 32, 60),
        ("densenet121_3d_tiny", 32, 80),
        ("mrnet_tiny", 32, 40),
        ("m3t_tiny", 16, 30),
    ],
)
def test_a_classifier_overfits_two_volumes(name: str, edge: int, steps: int) -> None:
    """In evaluation, so with the running statistics of batch norm and without dropout."""
    torch.manual_seed(0)
    network = create_network(name, 2, task="classification", image_size=edge)
    volumes, _ = two_samples((edge, edge, edge))
    classes = torch.tensor([0, 1])
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(steps):
        loss = F.cross_entropy(network(volumes), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        chances = network.eval()(volumes).softmax(1)
    assert chances[0, 0] > 0.8
    assert chances[1, 1] > 0.8
