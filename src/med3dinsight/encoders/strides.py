"""Which volumes a network of strided convolutions takes: those that every stage halves without a remainder."""

from __future__ import annotations

from ..errors import ConfigError
from ..types import Shape3


def check_strides(size: Shape3, stride: int) -> None:
    """Checks that a volume is halved evenly down to the last map, and that this map has more than one voxel.

    A last map of one voxel would be normalised to zero, whatever the volume shows.

    Args:
        size: Voxels along x, y, z.
        stride: Voxels along an edge that become one of the last map.

    Raises:
        ConfigError: It is not; the hint names the nearest sizes that are.

    Example:
        >>> check_strides((64, 32, 96), 32)
    """
    one_voxel = all(edge <= stride for edge in size)
    if not one_voxel and all(edge % stride == 0 and edge for edge in size):
        return
    low = [max(edge // stride, 1) * stride for edge in size]
    high = [max(-(-edge // stride), 1) * stride for edge in size]
    if len(set(size)) == 1:
        what = f"a cube of {size[0]} voxels"
        smallest = max(low[0], 2 * stride)
        nearest = f"{smallest} or {max(high[0], smallest + stride)}"
    else:
        what = f"a volume of {_by(size)} voxels"
        if one_voxel:
            low[0] = high[0] = 2 * stride
        nearest = " or ".join(dict.fromkeys((_by(low), _by(high))))
    raise ConfigError(
        f"{what} does not fit a network that shrinks it {stride} times",
        f"use multiples of {stride} that leave more than one voxel, such as {nearest}",
    )


def _by(size: Shape3 | list[int]) -> str:
    return " x ".join(str(edge) for edge in size)
