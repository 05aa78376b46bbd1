"""``vit``: MONAI's 3D vision transformer as an encoder; ``unetr`` uses the same one."""

from __future__ import annotations

from jaxtyping import Float
from monai.networks.nets import ViT
from torch import Tensor, nn

from ..errors import ConfigError
from .encoder import EncoderOutput


def drop_unused_parameters(vit: ViT) -> None:
    """Removes ``norm_cross_attn``, which MONAI 1.6.1 creates and never uses.

    18,432 parameters that never get a gradient would make distributed training complain.
    """
    for block in vit.blocks:
        if hasattr(block, "norm_cross_attn"):
            del block.norm_cross_attn


class ViTEncoder(nn.Module):
    """A ViT whose taps at four depths form a pyramid of equal resolution.

    Args:
        image_size: Edge of the input cube in voxels; a multiple of ``patch_size``.
        patch_size: Edge of a patch in voxels.
        hidden_size: Token width.
        mlp_dim: Width of the feed-forward layers.
        num_layers: Transformer blocks.
        num_heads: Attention heads.
        in_channels: Channels of the input.

    Raises:
        ConfigError: ``image_size`` is no multiple of ``patch_size``.
    """

    def __init__(
        self,
        image_size: int = 128,
        patch_size: int = 16,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_layers: int = 12,
        num_heads: int = 12,
        in_channels: int = 1,
    ) -> None:
        super().__init__()
        check_size(image_size, patch_size)
        self.embed_dim = hidden_size
        self.widths: tuple[int, ...] = ()
        self.image_size, self.patch_size = image_size, patch_size
        self.vit = ViT(
            in_channels, image_size, patch_size, hidden_size, mlp_dim, num_layers, num_heads, classification=False
        )
        drop_unused_parameters(self.vit)

    def forward(self, volume: Float[Tensor, "b c x y z"]) -> EncoderOutput:
        """Encodes cubes of ``image_size``.

        Raises:
            ConfigError: The volumes have another size.
        """
        if tuple(volume.shape[2:]) != (self.image_size,) * 3:
            raise ConfigError(
                f"this encoder was built for {self.image_size}³ voxels and got {tuple(volume.shape[2:])}",
                "build it with the crop or cube size of the workspace",
            )
        tokens, _ = self.vit(volume)
        edge = self.image_size // self.patch_size
        return EncoderOutput(tokens, (edge, edge, edge))


def check_size(image_size: int, patch_size: int) -> None:
    """Checks that a cube can be cut into patches.

    Raises:
        ConfigError: It cannot; the message names the nearest sizes that can.
    """
    if image_size % patch_size or image_size < patch_size:
        low = max(image_size // patch_size, 1) * patch_size
        raise ConfigError(
            f"a cube of {image_size} voxels cannot be cut into patches of {patch_size}",
            f"use a multiple of {patch_size}, such as {low} or {low + patch_size}",
        )
