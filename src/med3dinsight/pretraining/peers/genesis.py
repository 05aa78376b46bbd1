"""``genesis``: a volume is spoilt in several ways, and restored."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...encoders.pyramid_decoder import PyramidDecoder
from ...training.seeding import step_generator
from ...types import Shape3
from ..config import PretrainConfig
from ..corruptions import bezier_curve, change_intensities, in_paint, local_shuffle, out_paint
from ..objective import Inputs, Represented, Terms
from ..pool import Pool
from ..reconstruction import squared_error
from ..views import stack_looks

#: Probabilities of the corruptions, and of out-painting where anything is painted.
SHUFFLED, CURVED, PAINTED, OUTSIDE = 0.5, 0.9, 0.9, 0.8


class Genesis(nn.Module):
    r"""Models Genesis (Zhou et al. 2019, MICCAI; 2021, Medical Image Analysis 67, 101840).

    .. math:: L = \frac{1}{|V|} \sum_{i \in V} (x_i - \hat x_i)^2

    over the whole volume. It is spoilt by local shuffling (probability .5), a non-linear change of intensities (.9),
    and painting (.9: over the outside in .8 of the cases, else over boxes inside).

    Departs from the paper in: any encoder with a light pyramid decoder instead of a U-Net; volumes are not mirrored,
    since prepared ones have their axes in the body's directions. ``pretrain.contrast_augmentation`` does not apply,
    since the contrast itself is to be restored.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn.
    """

    pairs_per_volume = 1

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.decoder = PyramidDecoder(cast(int, encoder.embed_dim), cast(tuple[int, ...], encoder.widths), 1)

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws crops, and spoils them."""
        config, rng = self.config, step_generator(self.config.seed, step, "batch")
        volumes, spoilt = [], []
        for crop in pool.draw_crops(rng, config.recipe.batch_volumes):
            shift = rng.integers(-config.shift_voxels, config.shift_voxels + 1, 3)
            volumes.append((pool.voxels(crop, shift) / 255).astype(np.float32))
            spoilt.append(spoil(rng, volumes[-1]))
        return {"volumes": stack_looks(volumes), "spoilt": stack_looks(spoilt)}

    def represent(self, inputs: Inputs) -> Represented:
        """Returns each volume's error after restoring, and before."""
        volumes, spoilt = inputs["volumes"], inputs["spoilt"]
        size: Shape3 = (volumes.shape[2], volumes.shape[3], volumes.shape[4])
        restored = self.decoder(self.encoder(spoilt), size)
        return {"error": squared_error(restored, volumes, None), "before": squared_error(spoilt, volumes, None)}

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """The mean error."""
        return Terms(represented["error"].mean())

    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns the share of the damage that is made good; below 0 where restoring makes it worse."""
        return {"restored": 1 - float(represented["error"].sum() / represented["before"].sum().clamp(min=1e-6))}

    def after_step(self, step: int) -> None:
        """Nothing moves but by the optimiser."""


def spoil(rng: np.random.Generator, volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spoils a volume ``(x, y, z)`` in [0, 1]; one time in a hundred nothing happens to it."""
    shuffled, curved, painted = rng.random(3) < (SHUFFLED, CURVED, PAINTED)
    if shuffled:
        volume = local_shuffle(rng, volume)
    if curved:
        volume = change_intensities(volume, bezier_curve(rng))
    if painted:
        volume = out_paint(rng, volume) if rng.random() < OUTSIDE else in_paint(rng, volume)
    return volume
