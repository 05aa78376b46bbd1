from __future__ import annotations

import pytest
import torch

from med3dinsight.encoders import create_encoder
from med3dinsight.errors import ConfigError
from med3dinsight.pretraining.sizes import check_halves, grid_of


def test_the_grid_is_that_of_a_pass_which_leaves_no_trace() -> None:
    encoder = create_encoder("conv_tiny").train()
    encoder.stages[0].eval()
    state = torch.get_rng_state()
    assert grid_of(encoder, 16) == (2, 2, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert encoder.training
    assert not encoder.stages[0].training
    assert encoder.stages[1].training


def test_half_the_edge_is_told_where_the_encoder_takes_it() -> None:
    assert check_halves(create_encoder("vit_tiny", image_size=32), 32, "voco", "vit_tiny") == 16


def test_sizes_that_cannot_be_are_named() -> None:
    encoder = create_encoder("vit_tiny", image_size=24)
    with pytest.raises(ConfigError, match="half the crops' 24 voxels, and vit_tiny does not take 12") as caught:
        check_halves(encoder, 24, "voco", "vit_tiny")
    assert "8 or 16" in caught.value.hint
    with pytest.raises(ConfigError, match="have no half"):
        check_halves(encoder, 25, "voco", "vit_tiny")
