from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss

from med3dinsight.losses.nnunet import deep_supervision_loss, dice_ce_sum, supervision_weights


def draw(seed: int, size: int = 8, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, size, size, size, generator=generator)
    return logits, torch.randint(0, classes - 1, (2, size, size, size), generator=generator)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_monais_dice_over_the_batch_plus_cross_entropy(seed: int) -> None:
    """The last class is in no crop: it counts all the same."""
    logits, labels = draw(seed)
    known = DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5
    )
    assert dice_ce_sum(logits, labels).item() == pytest.approx(known(logits, labels[:, None]).item(), rel=1e-5)


def test_a_perfect_prediction_of_all_classes_costs_nothing() -> None:
    labels = torch.arange(64).reshape(1, 4, 4, 4) % 3
    logits = 40 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    assert dice_ce_sum(logits, labels).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("count", "weights"),
    [
        (1, [1.0]),
        (2, [1.0, 0.0]),
        (3, [2 / 3, 1 / 3, 0.0]),
        (5, [8 / 15, 4 / 15, 2 / 15, 1 / 15, 0.0]),
    ],
)
def test_weights_are_halved_and_the_coarsest_is_left_out(count: int, weights: list[float]) -> None:
    assert supervision_weights(count) == pytest.approx(weights)


def test_outputs_are_compared_with_the_nearest_labels_of_their_size() -> None:
    logits, labels = draw(4, size=8)
    middle, coarse = draw(5, size=4)[0], draw(6, size=2)[0].requires_grad_()
    found = deep_supervision_loss([logits, middle, coarse], labels)
    known = (2 * dice_ce_sum(logits, labels) + dice_ce_sum(middle, labels[:, 1::2, 1::2, 1::2])) / 3
    assert found.item() == pytest.approx(known.item(), rel=1e-5)
    assert deep_supervision_loss([logits], labels).item() == pytest.approx(dice_ce_sum(logits, labels).item())


def test_the_coarsest_output_gets_no_gradient_and_the_others_do() -> None:
    logits, labels = draw(4, size=8)
    outputs = [logits.requires_grad_(), draw(5, size=4)[0].requires_grad_(), draw(6, size=2)[0].requires_grad_()]
    deep_supervision_loss(outputs, labels).backward()
    assert outputs[0].grad is not None
    assert outputs[1].grad is not None
    assert outputs[1].grad.abs().max() > 0
    assert outputs[2].grad is None
