"""Does a module of somebody else's follow the encoder protocol? It is asked to encode a small volume."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

from ..errors import ConfigError
from .encoder import EncoderOutput

#: Edges in voxels that are tried in turn, until one is not refused.
SIZES = (32, 64, 96, 128)
_HINT = "docs/how-to/add-an-encoder.md shows an encoder of twenty lines"


def check_encoder(module: nn.Module, in_channels: int = 1, sizes: tuple[int, ...] = SIZES) -> None:
    """Checks that a module is an encoder, by running it on two cubes of the smallest size that it takes.

    It runs without gradients and in evaluation; its training flags, and the state of the random generator, stay.

    Args:
        module: The module.
        in_channels: Channels of the volumes.
        sizes: Edges in voxels to try.

    Raises:
        ConfigError: It is none; the message says what is missing or does not fit.
    """
    name = type(module).__name__
    for attribute, kind, what in (("embed_dim", int, "an int"), ("widths", tuple, "a tuple of ints")):
        value = getattr(module, attribute, None)
        if not isinstance(value, kind):
            raise ConfigError(f"{name} is no encoder: its {attribute} is {value!r} and should be {what}", _HINT)
    if problem := _problem(_small_run(module, name, in_channels, sizes), module):
        raise ConfigError(f"{name} is no encoder: {problem}", _HINT)


def _small_run(module: nn.Module, name: str, in_channels: int, sizes: tuple[int, ...]) -> object:
    device = next((value.device for value in module.parameters()), torch.device("cpu"))
    modes = [(part, part.training) for part in module.modules()]
    refusal: Exception | None = None
    module.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for size in sizes:
                try:
                    return module(torch.rand(2, in_channels, size, size, size, device=device))
                except Exception as error:  # anything that somebody else's code can raise
                    refusal = error
    finally:
        for part, training in modes:
            part.training = training
    tried = ", ".join(str(size) for size in sizes)
    reason = " ".join(str(refusal).split()) or "no reason given"
    raise ConfigError(
        f"{name} encodes no cube of {tried} voxels and {in_channels} channels: {type(refusal).__name__}: {reason}",
        _HINT,
    ) from refusal


def _problem(encoded: object, module: nn.Module) -> str:
    """Returns what is wrong with an encoder's output for two volumes; an empty text if nothing is."""
    if not isinstance(encoded, EncoderOutput):
        return f"its call gives a {type(encoded).__name__} and should give an EncoderOutput"
    expected = [2, math.prod(encoded.grid), module.embed_dim]
    if list(encoded.tokens.shape) != expected:
        return (
            f"its tokens have the shape {tuple(encoded.tokens.shape)}, but two volumes, "
            f"a grid of {encoded.grid} and embed_dim {module.embed_dim} make {tuple(expected)}"
        )
    channels = tuple(feature.shape[1] for feature in encoded.pyramid)
    if channels != module.widths:
        return f"the maps of its pyramid have {channels} channels, but widths says {module.widths}"
    edges = [tuple(feature.shape[2:]) for feature in encoded.pyramid]
    for fine, coarse in pairwise(edges):
        if any(one < other for one, other in zip(fine, coarse, strict=True)):
            return f"its pyramid does not go from fine to coarse: {fine} stands before {coarse}"
    return ""
