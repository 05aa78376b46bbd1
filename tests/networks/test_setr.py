from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from med3dinsight.encoders import create_encoder
from med3dinsight.errors import ConfigError
from med3dinsight.networks import NETWORKS, create_network
from med3dinsight.networks.setr import SETRNaive, SETRProgressive


def test_the_full_sizes_are_the_published_ones() -> None:
    assert NETWORKS["segmentation"]["setr"].parameters == pytest.approx(95.1e6, rel=1e-3)
    assert NETWORKS["segmentation"]["setr_nup"].parameters == pytest.approx(88.59e6 + 0.2e6, rel=1e-3)


def test_classifying_before_the_last_doubling_gives_the_scores_of_classifying_after_it() -> None:
    torch.manual_seed(0)
    network = create_network("setr_tiny", 3, image_size=16).eval()
    volume = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        features = network.encoder(volume).pyramid[-1]
        for stage in network.stages:
            features = F.interpolate(stage(features), scale_factor=2.0, mode="trilinear")
        torch.testing.assert_close(network(volume), network.classify(features))


def test_both_decoders_score_volumes_that_are_no_cubes() -> None:
    encoder = create_encoder("setr_tiny", image_size=16)
    for network in (SETRProgressive(encoder, 2, (16, 8, 8)), SETRNaive(encoder, 2, 16)):
        assert network(torch.rand(1, 1, 8, 24, 16)).shape == (1, 2, 8, 24, 16)


def test_a_decoder_that_does_not_end_at_full_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 doublings do not undo patches of 8 voxels") as caught:
        SETRProgressive(create_encoder("setr_tiny", image_size=16), 2, (16, 8))
    assert caught.value.hint == "give 3 widths"
