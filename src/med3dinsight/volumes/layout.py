"""Where and how a file keeps its voxels, as its header declares it: checked before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..types import Shape3


@dataclass(frozen=True)
class VoxelLayout:
    """What a header says of the voxels.

    Attributes:
        shape: Voxels along the three axes of the file, the first changing fastest.
        affine: 4 x 4 float64, index in the file to world millimetres (RAS+).
        dtype: Type of a stored voxel, byte order included.
        offset: Byte of the (decompressed) content at which the voxels begin.
        num_channels: Volumes in the file.
        channel_axis: Place of the channels among the axes: 0 (fastest, a voxel's channels lie together) to 3.
        slope, intercept: Intensity = stored value * slope + intercept.
        notes: What was assumed where the header leaves it open, one sentence each.
    """

    shape: Shape3
    affine: NDArray[np.float64]
    dtype: np.dtype[Any]
    offset: int = 0
    num_channels: int = 1
    channel_axis: int = 3
    slope: float = 1.0
    intercept: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def num_values(self) -> int:
        """Number of stored values, all channels together."""
        return self.shape[0] * self.shape[1] * self.shape[2] * self.num_channels

    @property
    def num_bytes(self) -> int:
        """Bytes of the voxels, decompressed."""
        return self.num_values * self.dtype.itemsize


def check_channel(channel: int | None, num_channels: int, name: str) -> int:
    """Returns the number of the channel to read.

    Args:
        channel: The channel that was asked for, from 0; None asks for the only one.
        num_channels: Volumes in the file.
        name: Name of the file, for the message.

    Raises:
        InputError: The file has several channels and none was asked for, or it has no such channel.
    """
    if channel is None and num_channels > 1:
        raise InputError(
            f"{name} holds {num_channels} channels, not one 3D volume",
            f'ask for them: [prepare] channels = "split", or a number 0 to {num_channels - 1}',
        )
    if not 0 <= (channel or 0) < num_channels:
        raise InputError(f"{name} has no channel {channel}: it holds {num_channels}", "channels are counted from 0")
    return channel or 0


def voxels(layout: VoxelLayout, content: Any, channel: int = 0) -> NDArray[Any]:
    """Returns one channel of decoded content as ``(i, j, k)``, with slope and intercept applied.

    Args:
        layout: What the header says.
        content: Bytes-like, at least ``layout.offset + layout.num_bytes`` long.
        channel: The channel, from 0.
    """
    flat = np.frombuffer(content, dtype=layout.dtype, offset=layout.offset, count=layout.num_values)
    values = flat.reshape(layout.shape, order="F") if layout.num_channels == 1 else _pick(layout, flat, channel)
    values = values.astype(layout.dtype.newbyteorder("="), copy=False)
    if (layout.slope, layout.intercept) == (1, 0):
        return values
    scaled = np.empty(layout.shape, dtype=np.float32, order="F")
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused by the reader
        for plane in range(layout.shape[2]):  # plane by plane: exact in float64 without a float64 copy of the whole
            scaled[..., plane] = values[..., plane] * np.float64(layout.slope) + np.float64(layout.intercept)
    return scaled


def _pick(layout: VoxelLayout, flat: NDArray[Any], channel: int) -> NDArray[Any]:
    shape = list(layout.shape)
    shape.insert(layout.channel_axis, layout.num_channels)
    index: list[int | slice] = [slice(None)] * 3
    index.insert(layout.channel_axis, channel)
    return flat.reshape(shape, order="F")[tuple(index)].copy(order="F")  # a view would keep all channels in memory
