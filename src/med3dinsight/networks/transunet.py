"""``transunet``: nnU-Net's plain U-Net with a vision transformer on its last map.

The encoder-only form of Chen et al. 2023, "3D TransUNet: Advancing Medical Image Segmentation through Vision
Transformers" (arXiv 2310.07781), which is the form that it uses for segmenting several organs.

Departs from the paper in that the ViT starts from random weights and not from ImageNet's, and has no layer scale.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from monai.networks.blocks.transformerblock import TransformerBlock
from torch import Tensor, nn

from ..encoders.patches import as_map, resize_table
from .nnunet import NNUNet


class MapTransformer(nn.Module):
    """A pre-norm ViT whose tokens are the voxels of a map, which it replaces by what the tokens become.

    Args:
        channels: Of the map.
        grid: Edge of the map that the position table is made for; it is interpolated trilinearly to other maps.
        hidden_size: Token width.
        num_layers: Transformer blocks; their feed-forward layers are four times as wide as the tokens.
        num_heads: Attention heads.
    """

    def __init__(self, channels: int, grid: int, hidden_size: int, num_layers: int, num_heads: int) -> None:
        super().__init__()
        self.grid = (grid, grid, grid)
        self.embed = nn.Linear(channels, hidden_size)
        self.positions = nn.Parameter(torch.zeros(1, grid**3, hidden_size))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(hidden_size, 4 * hidden_size, num_heads, qkv_bias=True, use_flash_attention=True)
            for _ in range(num_layers)
        )
        for block in self.blocks:
            # MONAI creates it in every block and uses it in none with self-attention alone.
            if hasattr(block, "norm_cross_attn"):
                del block.norm_cross_attn
        self.norm = nn.LayerNorm(hidden_size)
        self.back = nn.Linear(hidden_size, channels)

    def forward(self, features: Float[Tensor, "b c x y z"]) -> Float[Tensor, "b c x y z"]:
        """Returns a map of the same shape."""
        grid = (features.shape[2], features.shape[3], features.shape[4])
        tokens = self.embed(features.flatten(2).transpose(1, 2)) + resize_table(self.positions, self.grid, grid)
        for block in self.blocks:
            tokens = block(tokens)
        return as_map(self.back(self.norm(tokens)), grid)


def build_transunet(
    widths: tuple[int, ...],
    vit: tuple[int, int, int],
    num_classes: int,
    image_size: int,
    in_channels: int = 1,
) -> NNUNet:
    """Builds the U-Net around the transformer; deep supervision as in :class:`NNUNet`.

    Args:
        widths: Channels of the U-Net's stages.
        vit: Width, layers and heads of the transformer.
        num_classes: Classes with background.
        image_size: Edge of the cubes or crops in voxels; the position table is made for it.
        in_channels: Channels of the input.

    Raises:
        ConfigError: ``image_size`` does not fit the stages, or the package of nnU-Net's network is not installed.
    """
    grid = max(image_size // 2 ** (len(widths) - 1), 1)
    return NNUNet(widths, num_classes, image_size, in_channels, MapTransformer(widths[-1], grid, *vit))
