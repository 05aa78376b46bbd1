"""Heads that stand on any encoder."""

from __future__ import annotations

import pytest
import torch

from med3dinsight.encoders import ENCODERS, create_encoder
from med3dinsight.errors import ConfigError
from med3dinsight.networks import NETWORKS, create_network, list_networks
from med3dinsight.networks.pyramid_segmenter import PyramidSegmenter
from med3dinsight.networks.token_classifier import TokenClassifier

TINY = ["conv_tiny", "vit_tiny", "unetr_tiny", "primus_tiny", "swin_vit_tiny"]


@pytest.mark.parametrize("name", TINY)
def test_any_encoder_classifies(name: str) -> None:
    torch.manual_seed(0)
    network = TokenClassifier(create_encoder(name, image_size=16), 3)
    scores = network(torch.rand(2, 1, 16, 16, 16))
    assert scores.shape == (2, 3)
    scores.square().sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in network.parameters())


@pytest.mark.parametrize("name", TINY)
def test_any_encoder_segments(name: str) -> None:
    torch.manual_seed(0)
    network = PyramidSegmenter(create_encoder(name, image_size=16), 3)
    scores = network(torch.rand(2, 1, 16, 32, 16))
    assert scores.shape == (2, 3, 16, 32, 16)
    scores.square().sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in network.parameters())


def test_an_encoder_without_a_network_of_its_own_gets_a_head() -> None:
    network = create_network("vit_tiny", 4, task="classification", image_size=16)
    assert network(torch.rand(1, 1, 16, 16, 16)).shape == (1, 4)


def test_every_encoder_is_listed_for_both_tasks_with_the_parameters_that_it_has() -> None:
    rows = {(row["task"], row["name"]): row["parameters"] for row in list_networks()}
    for name in ENCODERS:
        assert ("segmentation", name) in rows
        with torch.device("meta"):
            network = create_network(name, 2, task="classification")
        assert rows["classification", name] == sum(value.numel() for value in network.parameters())
    assert {("segmentation", name) for name in NETWORKS["segmentation"]} <= set(rows)


def test_an_unknown_name_is_answered_with_the_nearest_encoder_too() -> None:
    with pytest.raises(ConfigError, match="no classification network called vit_tinny") as caught:
        create_network("vit_tinny", 2, task="classification")
    assert caught.value.hint == "did you mean vit_tiny?"


def test_a_classifier_reads_every_token_alike() -> None:
    """The mean over tokens does not know their order, so a volume of shuffled patches without positions is the same."""
    torch.manual_seed(0)
    encoder = create_encoder("vit_tiny", image_size=16)
    torch.nn.init.zeros_(encoder.vit.patch_embedding.position_embeddings)
    network = TokenClassifier(encoder, 2).eval()
    volume = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(volume), network(volume.roll((8, 8, 0), (2, 3, 4))))
