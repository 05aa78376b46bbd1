"""``conv_tiny``: a small residual CNN of our own, for machines without a GPU and for the demo."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from .any_size import check_edges
from .encoder import EncoderOutput

#: Channels at 1/2, 1/4 and 1/8 of the input size.
WIDTHS = (16, 64, 128)
#: Residual blocks at each of them; none at 1/2, where they cost most and see least.
DEPTHS = (0, 1, 2)


class ResidualBlock(nn.Module):
    """Two 3 x 3 x 3 convolutions with group norm around an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(8, channels)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(8, channels)
        self.activation = nn.GELU()

    def forward(self, features: Float[Tensor, "b c x y z"]) -> Float[Tensor, "b c x y z"]:
        """Returns features of the same shape."""
        inner = self.activation(self.norm1(self.conv1(features)))
        return self.activation(features + self.norm2(self.conv2(inner)))


class ConvTiny(nn.Module):
    """Three stages at 1/2, 1/4, 1/8 of the input size; the tokens are the voxels of the last map.

    Args:
        in_channels: Channels of the input.
        widths: Channels of the stages.
        depths: Residual blocks of the stages.
    """

    def __init__(
        self, in_channels: int = 1, widths: tuple[int, ...] = WIDTHS, depths: tuple[int, ...] = DEPTHS
    ) -> None:
        super().__init__()
        self.embed_dim = widths[-1]
        self.widths = widths
        stages, previous = [], in_channels
        for width, depth in zip(widths, depths, strict=True):
            down = nn.Conv3d(previous, width, 3, stride=2, padding=1, bias=False)
            blocks = [ResidualBlock(width) for _ in range(depth)]
            stages.append(nn.Sequential(down, nn.GroupNorm(8, width), nn.GELU(), *blocks))
            previous = width
        self.stages = nn.ModuleList(stages)
        self.neck = nn.Conv3d(previous, previous, 1)

    def forward(self, volume: Float[Tensor, "b c x y z"]) -> EncoderOutput:
        """Encodes volumes; any size from 8 voxels up works.

        Raises:
            ConfigError: An axis has no voxel.
        """
        check_edges((volume.shape[2], volume.shape[3], volume.shape[4]))
        pyramid, features = [], volume
        for stage in self.stages:
            features = stage(features)
            pyramid.append(features)
        features = self.neck(features)
        grid = (features.shape[2], features.shape[3], features.shape[4])
        return EncoderOutput(features.flatten(2).transpose(1, 2), grid, tuple(pyramid))
