"""The segmentation loss of the papers: the mean of cross-entropy and soft Dice."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

EPSILON = 1e-5


def soft_dice_loss(probabilities: Float[Tensor, "b c x y z"], labels: Int[Tensor, "b x y z"]) -> Float[Tensor, ""]:
    r"""One minus the soft Dice, averaged over the foreground classes that the batch shows.

    .. math:: 1 - \frac{2 \sum p\,y + \epsilon}{\sum p + \sum y + \epsilon}

    with the sums over the whole batch (Milletari et al. 2016, without squares). A class that no crop of the
    batch shows is left out (ours): its term is 1 with next to no gradient whatever the network does, and small
    crops show few classes. False positives of it are left to the cross-entropy.

    Args:
        probabilities: Softmax output; class 0 is background.
        labels: Class indices 0 .. c - 1.

    Returns:
        A scalar in [0, 1]; 0 where the batch shows background only.
    """
    truth = F.one_hot(labels.long(), probabilities.shape[1]).movedim(-1, 1).to(probabilities.dtype)
    overlap = (probabilities * truth).sum((0, 2, 3, 4))[1:]
    total = (probabilities + truth).sum((0, 2, 3, 4))[1:]
    shown = truth.sum((0, 2, 3, 4))[1:] > 0
    loss = 1 - (2 * overlap + EPSILON) / (total + EPSILON)
    return (loss * shown).sum() / shown.sum().clamp(min=1)


def segmentation_loss(logits: Float[Tensor, "b c x y z"], labels: Int[Tensor, "b x y z"]) -> Float[Tensor, ""]:
    """Mean of cross-entropy and soft Dice loss (Med3DInsight, section 3.1; the authors' code sums them).

    Args:
        logits: Class scores; class 0 is background.
        labels: Class indices.

    Example:
        >>> import torch
        >>> logits = torch.tensor([-9.0, 9.0]).reshape(1, 2, 1, 1, 1)
        >>> segmentation_loss(logits, torch.ones(1, 1, 1, 1, dtype=torch.long)).item() < 1e-4
        True
    """
    logits = logits.float()
    return (F.cross_entropy(logits, labels.long()) + soft_dice_loss(logits.softmax(1), labels)) / 2
