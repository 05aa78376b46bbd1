"""nnU-Net's loss: cross-entropy plus Dice over the batch, at every resolution of the decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

SMOOTH = 1e-5


def dice_ce_sum(logits: Float[Tensor, "b c x y z"], labels: Int[Tensor, "b x y z"]) -> Float[Tensor, ""]:
    r"""Cross-entropy plus one minus the soft Dice, averaged over all foreground classes.

    .. math:: \mathrm{CE} + 1 - \frac1{c - 1} \sum_k \frac{2 \sum p_k y_k + s}{\sum p_k + \sum y_k + s}

    with s = 1e-5 and the sums over the whole batch, as nnU-Net takes them where crops are small parts of a scan
    (Isensee et al., Nature Methods 2021). nnU-Net leaves the one out, which changes no gradient and lets the loss be
    negative. Unlike in :mod:`~med3dinsight.losses.segmentation` a class that no crop shows counts.

    Args:
        logits: Class scores; class 0 is background.
        labels: Class indices 0 .. c - 1.
    """
    logits = logits.float()
    probabilities = logits.softmax(1)
    truth = F.one_hot(labels.long(), logits.shape[1]).movedim(-1, 1).to(probabilities.dtype)
    overlap = (probabilities * truth).sum((0, 2, 3, 4))[1:]
    total = (probabilities + truth).sum((0, 2, 3, 4))[1:]
    dice = (2 * overlap + SMOOTH) / (total + SMOOTH)
    return F.cross_entropy(logits, labels.long()) + 1 - dice.mean()


def supervision_weights(count: int) -> tuple[float, ...]:
    """Returns the weights of a decoder's outputs, fine to coarse: halved each time, the coarsest 0, their sum 1.

    Example:
        >>> [round(weight, 3) for weight in supervision_weights(4)], supervision_weights(1)
        ([0.571, 0.286, 0.143, 0.0], (1.0,))
    """
    weights = [0.5**place for place in range(count)]
    if count > 1:
        weights[-1] = 0.0
    return tuple(weight / sum(weights) for weight in weights)


def deep_supervision_loss(
    outputs: Sequence[Float[Tensor, "b c _ _ _"]], labels: Int[Tensor, "b x y z"]
) -> Float[Tensor, ""]:
    """Weighted sum of :func:`dice_ce_sum` over a decoder's outputs; labels are taken at the nearest voxel.

    Args:
        outputs: Class scores from fine, of the labels' size, to coarse.
        labels: Class indices.
    """
    loss = labels.new_zeros((), dtype=outputs[0].float().dtype)
    for weight, scores in zip(supervision_weights(len(outputs)), outputs, strict=True):
        if weight:
            coarse = F.interpolate(labels[:, None].float(), size=scores.shape[2:], mode="nearest-exact")
            loss = loss + weight * dice_ce_sum(scores, coarse[:, 0].long())
    return loss
