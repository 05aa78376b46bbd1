"""``vit``: MONAI's 3D vision transformer as an encoder; ``unetr`` and ``setr`` use the same one."""

from __future__ import annotations

from jaxtyping import Float, Int
from monai.networks.nets import ViT
from torch import Tensor, nn

from ..types import Shape3
from .encoder import EncoderOutput
from .patches import embed_patches, patch_grid, resize_table, take_tokens
from .taps import quarters, tapped


class ViTEncoder(nn.Module):
    """A ViT whose taps at four depths form a pyramid of equal resolution.

    Volumes of any size that can be cut into patches are encoded; away from ``image_size`` the learned position
    table is interpolated trilinearly. Attention is fused (``scaled_dot_product_attention``), which many tokens
    need and few do not mind: it differs from MONAI's own by about 3e-6.

    Args:
        image_size: Edge in voxels of the cube that the position table is made for; a multiple of ``patch_size``.
        patch_size: Edge of a patch in voxels.
        hidden_size: Token width.
        mlp_dim: Width of the feed-forward layers.
        num_layers: Transformer blocks.
        num_heads: Attention heads.
        in_channels: Channels of the input.
        taps: After which blocks (from 1) the pyramid's maps are taken; the last tap of the last block is normalised
            as the tokens are. By default after each quarter of the blocks: 3, 6, 9, 12 of 12.

    Raises:
        ConfigError: ``image_size`` is no multiple of ``patch_size``.
    """

    takes_keep = True

    def __init__(
        self,
        image_size: int = 128,
        patch_size: int = 16,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_layers: int = 12,
        num_heads: int = 12,
        in_channels: int = 1,
        taps: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.table_grid = patch_grid((image_size,) * 3, patch_size)
        self.taps = quarters(num_layers) if taps is None else taps
        self.embed_dim = hidden_size
        self.widths: tuple[int, ...] = (hidden_size,) * len(self.taps)
        self.image_size, self.patch_size = image_size, patch_size
        self.vit = ViT(
            in_channels, image_size, patch_size, hidden_size, mlp_dim, num_layers, num_heads, classification=False
        )
        _drop_unused_parameters(self.vit)
        for block in self.vit.blocks:
            block.attn.use_flash_attention = True  # type: ignore[union-attr]

    def forward(self, volume: Float[Tensor, "b i x y z"], keep: Int[Tensor, "b m"] | None = None) -> EncoderOutput:
        """Encodes volumes.

        Args:
            volume: Edges are multiples of ``patch_size``.
            keep: Numbers of the only tokens to encode, in C order of the grid; the others do not exist for the
                attention. The output then holds these tokens in this order, the full grid, and no pyramid.

        Raises:
            ConfigError: The volumes cannot be cut into patches.
        """
        grid = patch_grid((volume.shape[2], volume.shape[3], volume.shape[4]), self.patch_size)
        tokens = self.embed(volume, grid)
        if keep is not None:
            tokens = take_tokens(tokens, keep)
        states = []
        for block in self.vit.blocks:
            tokens = block(tokens)
            states.append(tokens)
        states[-1] = self.vit.norm(states[-1])
        return tapped(states, grid, self.taps, whole=keep is None)

    def embed(self, volume: Float[Tensor, "b i x y z"], grid: Shape3) -> Float[Tensor, "b n c"]:
        """Returns the embedded patches with their positions, before the first block."""
        embedding = self.vit.patch_embedding
        patches = embed_patches(volume, embedding.patch_embeddings)  # type: ignore[arg-type]
        return patches + resize_table(embedding.position_embeddings, self.table_grid, grid)


def _drop_unused_parameters(vit: ViT) -> None:
    """Removes ``norm_cross_attn``, which MONAI 1.6.1 creates and never uses.

    18,432 parameters that never get a gradient would make distributed training complain.
    """
    for block in vit.blocks:
        if hasattr(block, "norm_cross_attn"):
            del block.norm_cross_attn
