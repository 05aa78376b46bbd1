"""Files of weights to load: a small encoder, and what others do to its names."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from med3dinsight.encoders import create_encoder

State = dict[str, Tensor]


def small(size: int = 16, in_channels: int = 1, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return create_encoder("vit_tiny", image_size=size, in_channels=in_channels)


def same(module: nn.Module, state: State) -> bool:
    return all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def behind(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}
