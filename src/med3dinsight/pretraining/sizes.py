"""What an encoder makes of a size: found out by one volume of zeros, before any hour is spent."""

from __future__ import annotations

import torch
from torch import nn

from ..encoders.encoder import EncoderOutput
from ..errors import ConfigError
from ..types import Shape3


@torch.no_grad()
def grid_of(encoder: nn.Module, edge: int) -> Shape3:
    """Returns the tokens along x, y, z of a cube.

    It runs in evaluation and leaves the training flags and the random generator as they were.

    Args:
        encoder: The encoder.
        edge: Of the cube in voxels.

    Raises:
        ConfigError: The encoder does not take that size; the hint names those that it takes.
    """
    modes = [(part, part.training) for part in encoder.modules()]
    device = next((value.device for value in encoder.parameters()), torch.device("cpu"))
    encoder.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            encoded: EncoderOutput = encoder(torch.zeros(1, 1, edge, edge, edge, device=device))
    finally:
        for part, training in modes:
            part.training = training
    return encoded.grid


def check_halves(encoder: nn.Module, edge: int, method: str, name: str) -> int:
    """Returns half of the crops' edge, at which a method also encodes.

    Args:
        encoder: The encoder.
        edge: Of the crops in voxels.
        method: Who asks.
        name: The encoder's name.

    Raises:
        ConfigError: The encoder does not take half the edge; the hint names sizes that it takes.
    """
    half, odd = divmod(edge, 2)
    if odd:
        raise ConfigError(f"{method} halves crops, and those of {edge} voxels have no half", "take crops of even edge")
    try:
        grid_of(encoder, half)
    except ConfigError as error:
        raise ConfigError(
            f"{method} also encodes cubes of half the crops' {edge} voxels, and {name} does not take {half}: {error}",
            f"for the halves {error.hint}, and crops of twice that; or take another encoder",
        ) from error
    return half
