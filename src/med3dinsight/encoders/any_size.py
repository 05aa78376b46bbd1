"""Which volumes an encoder takes that takes any size: those that are not too small."""

from __future__ import annotations

from ..errors import ConfigError
from ..types import Shape3


def check_edges(size: Shape3, smallest: int = 1) -> None:
    """Checks that no edge of a volume is too short.

    Args:
        size: Voxels along x, y, z.
        smallest: The shortest edge that is taken.

    Raises:
        ConfigError: One is shorter.

    Example:
        >>> check_edges((8, 24, 17))
    """
    if min(size) >= smallest:
        return
    what = f"a cube of {size[0]}" if len(set(size)) == 1 else f"a volume of {size[0]} x {size[1]} x {size[2]}"
    raise ConfigError(
        f"{what} voxels is too small for this encoder", f"use edges of at least {smallest}, such as 32 or 64"
    )
