from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.losses import segmentation_loss, soft_dice_loss


@given(batch=st.integers(1, 3), classes=st.integers(2, 5), shown=st.integers(0, 4), seed=st.integers(0, 99))
def test_it_is_monais_dice_of_the_classes_that_are_shown_with_torchs_cross_entropy(
    batch: int, classes: int, shown: int, seed: int
) -> None:
    from monai.losses import DiceLoss

    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, 3, 4, 5, generator=generator)
    labels = torch.randint(0, min(shown + 1, classes), (batch, 3, 4, 5), generator=generator)
    mine, other = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    by_class = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=True, reduction="none")
    present = [index for index in range(1, classes) if (labels == index).any()]
    dice = by_class(other, labels[:, None]).flatten()[[index - 1 for index in present]]
    expected = (F.cross_entropy(other, labels) + (dice.mean() if present else 0)) / 2
    loss = segmentation_loss(mine, labels)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    assert torch.allclose(mine.grad, other.grad, atol=1e-6)


def test_a_perfect_answer_costs_nothing_and_a_wrong_one_all_of_the_dice() -> None:
    labels = torch.tensor([0, 1, 2, 1]).reshape(1, 4, 1, 1)
    perfect = F.one_hot(labels, 3).movedim(-1, 1).float()
    assert soft_dice_loss(perfect, labels).item() == pytest.approx(0, abs=1e-5)
    wrong = F.one_hot((labels + 1) % 3, 3).movedim(-1, 1).float()
    assert soft_dice_loss(wrong, labels).item() == pytest.approx(1, abs=1e-5)


def test_a_crop_without_a_class_is_no_failure_of_it() -> None:
    """Sums run over the batch: an empty crop beside a perfect one changes nothing."""
    full, empty = torch.ones(1, 2, 2, 2, dtype=torch.long), torch.zeros(1, 2, 2, 2, dtype=torch.long)
    labels = torch.cat([full, empty])
    perfect = F.one_hot(labels, 2).movedim(-1, 1).float()
    assert soft_dice_loss(perfect, labels).item() == pytest.approx(0, abs=1e-5)


def test_the_background_has_no_dice_of_its_own() -> None:
    labels = torch.tensor([0, 0, 0, 1]).reshape(1, 4, 1, 1)
    share = torch.tensor([0.5, 0.5, 0.5, 1.0]).reshape(1, 1, 4, 1, 1)
    by_hand = 1 - 2 * 1.0 / (share.sum().item() + 1)
    assert soft_dice_loss(torch.cat([1 - share, share], 1), labels).item() == pytest.approx(by_hand, abs=1e-4)
