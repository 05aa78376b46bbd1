"""``t3d``: text-informed contrast and restoration of crops at full resolution, in our reading."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from ..encoders.encoder import EncoderOutput
from ..encoders.patches import as_map
from ..encoders.pyramid_decoder import PyramidDecoder
from ..losses.subject_contrast import same_person, subject_contrast
from ..readouts.online import embedding_spread
from ..readouts.ranking import first_place
from ..training.seeding import step_generator
from ..types import Shape3
from .config import PretrainConfig
from .corruptions import hide_blocks, in_paint, local_shuffle, out_paint
from .objective import Inputs, Represented, Terms
from .paired_crops import draw_pairs, mean_token, of_somebody_else, refuse_lonely, text_tokens
from .pool import Pool
from .projection import perceptron, pooled
from .text_block import TextInformedBlock
from .views import plain_look, stack_looks

#: The share of hidden blocks is drawn this far around ``pretrain.mask_ratio``.
MASK_MARGIN = 0.1
#: Volumes on which a read-out restores with the right and with a wrong text.
CHECKED = 8


class TextInformed(nn.Module):
    r"""T3D (arXiv 2312.01529) as we read it: its losses, crops and masks are not public.

    .. math:: L = L_{contrast} + \lambda L_{restore}

    - Two crops of one volume at its own resolution; text tokens W of the first are the projected features of the
      captions of its slices, 256 at most.
    - :class:`TextInformedBlock` lets the first crop's tokens look at W; for a share ``pretrain.text_dropout`` of the
      volumes it does not, so that the encoder works without text.
    - Contrast: the two crops, pooled and projected, find each other; negatives are other people
      (:func:`subject_contrast`). *One* crop only is informed: with the same text in both, the text alone would solve
      it. ``text_only_accuracy`` in the log says how far it would.
    - Restoration: the first crop is corrupted, informed, and decoded; mean absolute error over the corrupted voxels.
      Corruptions are hidden blocks (a share of ``pretrain.mask_ratio`` ± .1) for half of the crops, in-painting and
      out-painting for a quarter each, and local shuffling before it for half of them.

    :math:`\lambda` is ``pretrain.reconstruction_weight``. With ``pretrain.no_text`` no crop is ever informed.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn; tells the width of the features.

    Raises:
        ConfigError: There is one person, or every volume has one crop.
    """

    pairs_per_volume = 1

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        refuse_lonely(pool, config.method)
        self.config, self.encoder = config, encoder
        _, texts = pool.features()
        width = cast(int, encoder.embed_dim)
        self.block = TextInformedBlock(width, texts.shape[1])
        self.project = perceptron((width, width, config.projection_width))
        self.decoder = PyramidDecoder(width, cast(tuple[int, ...], encoder.widths), 1)

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws two crops of each volume, corrupts the first, and gives it its texts, or none."""
        config, rng = self.config, step_generator(self.config.seed, step, "batch")
        drawn = draw_pairs(rng, pool, config.recipe.batch_volumes)
        looks = [[plain_look(rng, config, pool, crop) for crop in pair] for pair in drawn.pairs]
        spoilt, where = zip(*(corrupt(rng, config, look) for look, _ in looks), strict=True)
        texts, real = text_tokens(rng, pool, [(first,) for first, _ in drawn.pairs])
        others, others_real = text_tokens(rng, pool, [(second,) for _, second in drawn.pairs])
        informed = torch.from_numpy(rng.random(len(looks)) >= config.text_dropout)
        return {
            "first": stack_looks([first for first, _ in looks]),
            "second": stack_looks([second for _, second in looks]),
            "spoilt": stack_looks(list(spoilt)),
            "where": torch.from_numpy(np.stack(where))[:, None],
            "texts": texts,
            "real": real,
            "informed": informed & (not config.no_text),
            "other_text": mean_token(others, others_real),
            "subjects": drawn.subjects,
        }

    def represent(self, inputs: Inputs) -> Represented:
        """Returns the pooled tokens of both crops, the first's informed, and the error of each restoration."""
        first, second = (self.encoder(inputs[name]) for name in ("first", "second"))
        informed = self._inform(first, inputs)
        restored = self._restore(self.encoder(inputs["spoilt"]), inputs)
        return {"first": pooled(informed), "second": pooled(second.tokens), "restoration": restored}

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """Contrast and weighted restoration."""
        first, second = (self.project(represented[name]) for name in ("first", "second"))
        parts = {
            "contrast": subject_contrast(first, second, inputs["subjects"], cast(float, self.config.temperature)),
            "restoration": represented["restoration"].mean(),
        }
        return Terms(parts["contrast"] + self.config.reconstruction_weight * parts["restoration"], parts)

    @torch.no_grad()
    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns how well crops find each other, how well their texts alone would, and what the texts restore.

        ``restoration_true_text`` and ``restoration_shuffled_text`` are the errors of the same corrupted crops with
        their own texts and with those of somebody else: texts that help leave a gap.
        """
        first, second = (self.project(represented[name]).cpu() for name in ("first", "second"))
        found = {
            "accuracy": accuracy_among_people(first, second, inputs["subjects"].cpu()),
            "spread": embedding_spread(torch.cat([first, second])),
        }
        if self.config.no_text:
            return found
        own, others = mean_token(inputs["texts"], inputs["real"]).cpu(), inputs["other_text"].cpu()
        found["text_only_accuracy"] = accuracy_among_people(own, others, inputs["subjects"].cpu())
        return {**found, "gate": float(self.block.gate), **self._compare_texts(inputs)}

    def _compare_texts(self, inputs: Inputs) -> dict[str, float]:
        """Restores with the right texts and with those of the next person of the batch."""
        wrong = of_somebody_else(inputs["subjects"])
        if wrong is None:
            return {}
        kept = {name: value[:CHECKED] for name, value in inputs.items()}
        kept["informed"] = torch.ones_like(kept["informed"])
        swapped = {**kept, **{name: inputs[name][wrong][:CHECKED] for name in ("texts", "real")}}
        encoded = self.encoder(kept["spoilt"])
        true, shuffled = (float(self._restore(encoded, rows).mean()) for rows in (kept, swapped))
        return {"restoration_true_text": true, "restoration_shuffled_text": shuffled}

    def _inform(self, encoded: EncoderOutput, inputs: Inputs) -> Float[Tensor, "b n c"]:
        informed: Tensor = self.block(encoded.tokens, inputs["texts"], inputs["real"], inputs["informed"])
        return informed

    def _restore(self, encoded: EncoderOutput, inputs: Inputs) -> Float[Tensor, " b"]:
        """Absolute error of each restored crop, over its corrupted voxels."""
        volumes, counted = inputs["first"], inputs["where"].flatten(1)
        size: Shape3 = (volumes.shape[2], volumes.shape[3], volumes.shape[4])
        restored = self.decoder(with_tokens(encoded, self._inform(encoded, inputs)), size)
        error = (restored.float() - volumes).abs().flatten(1)
        return (error * counted).sum(1) / counted.sum(1).clamp(min=1)

    def after_step(self, step: int) -> None:
        """Nothing moves but by the optimiser."""


def corrupt(
    rng: np.random.Generator, config: PretrainConfig, look: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Corrupts a crop ``(x, y, z)``; returns it and where it is to be restored."""
    shuffled, kind = rng.random() < 0.5, rng.choice(["blocks", "inside", "outside"], p=[0.5, 0.25, 0.25])
    spoilt = local_shuffle(rng, look) if shuffled else look
    if kind == "inside":
        spoilt = in_paint(rng, spoilt)
    elif kind == "outside":
        spoilt = out_paint(rng, spoilt)
    where = spoilt != look
    if kind == "blocks":
        share = cast(float, config.mask_ratio) + rng.uniform(-MASK_MARGIN, MASK_MARGIN)
        hidden = hide_blocks(rng, look.shape, cast(int, config.mask_block), share)
        spoilt, where = np.where(hidden, np.float32(0), spoilt), where | hidden
    return spoilt, where


def with_tokens(encoded: EncoderOutput, tokens: Float[Tensor, "b n c"]) -> EncoderOutput:
    """Puts other tokens in the place of an output's, and their change into its last map where that is the tokens' own.

    The last map of a transformer is its tokens once more, and would bring them to the decoder as they were.
    """
    pyramid = encoded.pyramid
    change = as_map(tokens - encoded.tokens, encoded.grid)
    if pyramid and pyramid[-1].shape == change.shape:
        pyramid = (*pyramid[:-1], pyramid[-1] + change)
    return EncoderOutput(tokens, encoded.grid, pyramid)


def accuracy_among_people(
    first: Float[Tensor, "b e"], second: Float[Tensor, "b e"], subjects: Int[Tensor, " b"]
) -> float:
    """Share of rows whose own partner is more similar than those of all other people; ties are drawn."""
    u, v = (nn.functional.normalize(side, dim=-1) for side in (first, second))
    likeness = (u @ v.T).masked_fill(same_person(subjects), -torch.inf)
    return float(first_place(likeness, likeness.diagonal().unsqueeze(1)).mean())
