"""Which volumes an encoder takes that takes any size: those that hold something."""

from __future__ import annotations

from ..errors import ConfigError
from ..types import Shape3


def check_filled(size: Shape3) -> None:
    """Checks that a volume has voxels along each axis.

    Args:
        size: Voxels along x, y, z.

    Raises:
        ConfigError: It has none.

    Example:
        >>> check_filled((8, 24, 17))
    """
    if min(size) >= 1:
        return
    what = f"a cube of {size[0]}" if len(set(size)) == 1 else f"a volume of {size[0]} x {size[1]} x {size[2]}"
    raise ConfigError(f"{what} voxels holds nothing to encode", "use edges of 1 or more, such as 32 or 64")
