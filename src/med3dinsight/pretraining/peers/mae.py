"""``mae``: masked autoencoding. Most of a volume is hidden, and is rebuilt from the rest."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...encoders.encoder import TokenDropping
from ...encoders.patches import patch_grid
from ...encoders.pyramid_decoder import PyramidDecoder
from ...errors import ConfigError
from ...training.seeding import step_generator
from ...types import Shape3
from ..config import PretrainConfig
from ..masking import draw_masks, grow
from ..objective import Inputs, Represented, Terms
from ..pool import Pool
from ..settings_read import MASK_BLOCK
from ..views import plain_looks
from .token_decoder import TokenDecoder

#: Added to the variance of a target patch.
EPSILON = 1e-6


class MaskedAutoencoder(nn.Module):
    r"""Masked autoencoders (He et al. 2022, arXiv 2111.06377).

    .. math:: L = \frac{1}{|M|} \sum_{i \in M} (x_i - \hat x_i)^2

    over the hidden voxels M only; with ``pretrain.normalized_targets`` each patch of x is brought to mean 0 and
    variance 1 first.

    An encoder that can encode some of its tokens alone (:class:`TokenDropping`) is shown only the patches that stay,
    a light transformer puts a learned token in the place of the others and predicts their voxels. All others get the
    dense form, as convolutional adaptations have it (Tian et al. 2023; Wald et al. 2024 for volumes): blocks of
    ``pretrain.mask_block`` voxels are emptied, and a pyramid decoder rebuilds them; there the gradient must find its
    way through the emptied voxels too.

    Departs from the paper in: patches are cubes; the decoder has 2 blocks of at most 256 channels instead of 8 of
    512, as an encoder of tiny size or a volume of few tokens needs; the targets are not normalised by default, since
    intensities of CT mean something; the only augmentations are contrast curves and shifts, and no zoom.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn; tells the size of the crops.

    Raises:
        ConfigError: A crop is a single patch, or ``pretrain.mask_block`` is set where patches are hidden.
    """

    pairs_per_volume = 1

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.patch = encoder.patch_size if isinstance(encoder, TokenDropping) and encoder.takes_keep else None
        embed_dim = cast(int, encoder.embed_dim)
        if self.patch is None:
            self.decoder: nn.Module = PyramidDecoder(embed_dim, cast(tuple[int, ...], encoder.widths), 1)
            return
        _refuse_blocks(config, self.patch)
        self.decoder = TokenDecoder(embed_dim, self.patch**3)
        self.kept = _kept(config, pool.crop_size, self.patch)

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws crops, and what is hidden of them: an order of patches, of which the first stay, or block masks."""
        config, rng = self.config, step_generator(self.config.seed, step, "batch")
        crops = pool.draw_crops(rng, config.recipe.batch_volumes)
        volumes, _ = plain_looks(rng, config, pool, crops)
        if self.patch is None:
            return {"volumes": volumes, "masks": draw_masks(rng, config, volumes.shape)}
        count = (pool.crop_size // self.patch) ** 3
        order = torch.stack([torch.from_numpy(rng.permutation(count)) for _ in crops])
        return {"volumes": volumes, "order": order}

    def represent(self, inputs: Inputs) -> Represented:
        """Returns each volume's error over its hidden voxels, and the error of always guessing their mean."""
        return self._dense(inputs) if self.patch is None else self._sparse(inputs, self.patch)

    def _sparse(self, inputs: Inputs, patch: int) -> Represented:
        volumes, order = inputs["volumes"], inputs["order"]
        encoded = self.encoder(volumes, keep=order[:, : self.kept])
        predicted = self.decoder(encoded.tokens, order, encoded.grid).float()
        hidden = order[:, self.kept :].unsqueeze(2).expand(-1, -1, patch**3)
        targets = cut_patches(volumes, patch)
        if self.config.normalized_targets:
            targets = (targets - targets.mean(2, keepdim=True)) * (
                targets.var(2, keepdim=True, correction=0) + EPSILON
            ).rsqrt()
        rebuilt, true = predicted.gather(1, hidden).flatten(1), targets.gather(1, hidden).flatten(1)
        return {"error": (rebuilt - true).square().mean(1), "guess": true.var(1, correction=0)}

    def _dense(self, inputs: Inputs) -> Represented:
        volumes = inputs["volumes"]
        block = cast(int, self.config.mask_block)
        size: Shape3 = (volumes.shape[2], volumes.shape[3], volumes.shape[4])
        hidden = grow(inputs["masks"], block, size)
        encoded = self.encoder(volumes.masked_fill(hidden, 0.0))
        targets = normalise_blocks(volumes, block) if self.config.normalized_targets else volumes
        rebuilt = self.decoder(encoded, size).float()
        counted = hidden.flatten(1)
        voxels, true = counted.sum(1), targets.flatten(1)
        mean = (true * counted).sum(1) / voxels
        return {
            "error": ((rebuilt.flatten(1) - true).square() * counted).sum(1) / voxels,
            "guess": ((true - mean.unsqueeze(1)).square() * counted).sum(1) / voxels,
        }

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """The mean error."""
        return Terms(represented["error"].mean())

    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns the share of the hidden voxels' variance that is explained; 0 by always guessing their mean."""
        return {"explained": 1 - float(represented["error"].sum() / represented["guess"].sum().clamp(min=EPSILON))}

    def after_step(self, step: int) -> None:
        """Nothing moves but by the optimiser."""


def _refuse_blocks(config: PretrainConfig, patch: int) -> None:
    """Refuses a size of blocks where patches are hidden, unless it is theirs or was left out."""
    if config.mask_block not in (MASK_BLOCK, patch):
        raise ConfigError(
            f"pretrain.mask_block = {config.mask_block} has no effect: mae hides the patches of {config.encoder}, "
            f"of {patch} voxels",
            "leave it out",
        )


def _kept(config: PretrainConfig, edge: int, patch: int) -> int:
    """Patches of a crop that stay, one at least.

    Raises:
        ConfigError: The crop has one patch only.
    """
    count = patch_grid((edge,) * 3, patch)[0] ** 3
    if count < 2:
        raise ConfigError(
            f"mae hides some of a crop's patches, and one of {edge} voxels is a single patch of {patch}",
            f"take crops of {2 * patch} voxels or more",
        )
    return max(count - round(cast(float, config.mask_ratio) * count), 1)


def cut_patches(volumes: Float[Tensor, "b 1 x y z"], patch: int) -> Float[Tensor, "b n v"]:
    """Cuts volumes into cubes, in C order of their grid; voxels in C order too.

    Example:
        >>> cut_patches(torch.arange(8.0).reshape(1, 1, 2, 2, 2), 1)[0, :, 0].tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    """
    cubes = volumes.squeeze(1)
    for axis in (1, 3, 5):
        cubes = cubes.unflatten(axis, (-1, patch))
    return cubes.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(1, 3)


def normalise_blocks(volumes: Float[Tensor, "b 1 x y z"], block: int) -> Float[Tensor, "b 1 x y z"]:
    """Brings every block to mean 0 and variance 1; blocks at the far end may be cut off."""
    mean, square = (
        F.avg_pool3d(values, block, ceil_mode=True, count_include_pad=False) for values in (volumes, volumes.square())
    )
    scale = ((square - mean.square()).clamp(min=0) + EPSILON).rsqrt()
    for axis in (2, 3, 4):
        size = volumes.shape[axis]
        mean = mean.repeat_interleave(block, axis).narrow(axis, 0, size)
        scale = scale.repeat_interleave(block, axis).narrow(axis, 0, size)
    return (volumes - mean) * scale
