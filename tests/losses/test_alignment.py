from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from med3dinsight.errors import ConfigError
from med3dinsight.losses import infonce, sigmoid_loss
from med3dinsight.losses.alignment import ALIGNMENT_LOSSES, AlignmentLoss, AlignmentSettings, build_alignment_loss

TRANSPORT = ["ot", "partial-ot", "weighted-partial-ot", "transport-cost"]
OF_THE_PLAN = TRANSPORT[:3]


def noisy_pairs(pairs: int, width: int = 12, noise: float = 0.4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randn(pairs, width, generator=generator)
    return targets + noise * torch.randn(pairs, width, generator=generator), targets


@pytest.mark.parametrize("name", ALIGNMENT_LOSSES)
def test_a_few_steps_bring_every_answer_nearest_to_its_own_target(name: str) -> None:
    targets = noisy_pairs(8, seed=1)[1]
    answers = torch.randn(8, 12, generator=torch.Generator().manual_seed(2)).requires_grad_()
    if name == "transport-cost":  # it follows the plan, so it has to start with the right one
        answers = (targets + 0.8 * answers.detach()).requires_grad_()
    loss_of = build_alignment_loss(12, AlignmentSettings(name, iterations=50))
    optimizer = torch.optim.Adam([answers, *loss_of.parameters()], lr=0.05)
    losses = []
    for _ in range(60):
        loss = loss_of(answers, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    similarity = F.normalize(answers, dim=1) @ F.normalize(targets, dim=1).T
    assert similarity.argmax(1).tolist() == list(range(8))


@pytest.mark.parametrize("name", ALIGNMENT_LOSSES)
def test_one_pair_is_refused_with_the_way_out(name: str) -> None:
    loss = build_alignment_loss(3, AlignmentSettings(name))
    with pytest.raises(ConfigError, match=r"one pair|two pairs") as caught:
        loss(torch.ones(1, 3), torch.ones(1, 3))
    assert "slices per volume" in caught.value.hint


@pytest.mark.parametrize("name", ALIGNMENT_LOSSES)
def test_pairs_may_come_in_any_order_as_long_as_they_stay_pairs(name: str) -> None:
    answers, targets = noisy_pairs(9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(3))
    loss = build_alignment_loss(12, AlignmentSettings(name))
    expected = loss(answers, targets).item()
    assert loss(answers[order], targets[order]).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ALIGNMENT_LOSSES)
def test_the_same_pairs_give_the_same_loss_and_gradient_to_the_bit(name: str) -> None:
    answers, targets = noisy_pairs(16)
    found = []
    for _ in range(2):
        mine = answers.clone().requires_grad_()
        build_alignment_loss(12, AlignmentSettings(name))(mine, targets).backward()
        found.append(mine.grad)
    assert torch.equal(*found)


@pytest.mark.parametrize("name", ALIGNMENT_LOSSES)
def test_under_bf16_autocast_the_loss_is_that_of_full_precision(name: str) -> None:
    answers, targets = noisy_pairs(16)
    loss = build_alignment_loss(12, AlignmentSettings(name, metric="psd"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert loss(answers, targets).item() == loss(answers, targets.float()).item()
        inside = loss(answers, targets)
    assert inside.item() == loss(answers, targets).item()
    assert inside.dtype == torch.float32


def test_contrastive_losses_start_as_their_functions_with_the_settings_temperature() -> None:
    answers, targets = noisy_pairs(6)
    loss = build_alignment_loss(12, AlignmentSettings("infonce", temperature=0.2))
    assert loss(answers, targets).item() == pytest.approx(infonce(answers, targets, 0.2).item(), rel=1e-6)
    loss = build_alignment_loss(12, AlignmentSettings("sigmoid", temperature=0.1))
    assert loss(answers, targets).item() == pytest.approx(sigmoid_loss(answers, targets, 10, -10).item(), rel=1e-6)


def test_what_is_learned_are_parameters_and_nothing_else_is() -> None:
    def learned(name: str, **settings: object) -> list[str]:
        return [
            key for key, _ in build_alignment_loss(4, replace(AlignmentSettings(name), **settings)).named_parameters()
        ]

    assert learned("infonce") == []
    assert learned("infonce", learn_temperature=True) == ["scale.log_scale"]
    assert sorted(learned("sigmoid")) == ["bias", "scale.log_scale"]
    assert learned("partial-ot") == []
    assert learned("partial-ot", metric="psd") == ["cost.factor"]
    answers, targets = noisy_pairs(6, 4)
    for settings in (
        AlignmentSettings("infonce", learn_temperature=True),
        AlignmentSettings("sigmoid"),
        *(AlignmentSettings(name, metric=metric) for name in TRANSPORT for metric in ("diagonal", "psd")),
    ):
        loss = build_alignment_loss(4, settings)
        loss(answers, targets).backward()
        assert all(parameter.grad.abs().max() > 0 for parameter in loss.parameters())


@pytest.mark.parametrize("name", OF_THE_PLAN)
def test_a_perfect_alignment_costs_the_floor_and_no_less(name: str) -> None:
    targets = torch.eye(24)
    loss = build_alignment_loss(24, AlignmentSettings(name))
    mass = 1 if name == "ot" else 0.95
    assert loss.floor(24) == pytest.approx(math.log(24 / mass))
    assert loss(targets, targets).item() == pytest.approx(loss.floor(24), abs=1e-4)
    assert loss(*noisy_pairs(24, 24, 1.5)).item() > loss.floor(24) + 0.1


def test_losses_that_can_reach_nothing_have_no_floor() -> None:
    for name in ("infonce", "sigmoid", "transport-cost"):
        assert build_alignment_loss(4, AlignmentSettings(name)).floor(32) == 0
    assert build_alignment_loss(24, AlignmentSettings("transport-cost"))(torch.eye(24), torch.eye(24)).item() < 1e-6


@pytest.mark.parametrize("name", ALIGNMENT_LOSSES)
def test_equal_rows_and_answers_of_nothing_give_finite_gradients(name: str) -> None:
    for answers in (torch.ones(5, 3), torch.zeros(5, 3), torch.tensor([[1.0, 0, 0]]).expand(5, 3) * 1e18):
        mine = answers.clone().requires_grad_()
        loss = build_alignment_loss(3, AlignmentSettings(name, metric="psd"))
        value = loss(mine, torch.ones(5, 3))
        value.backward()
        assert math.isfinite(value.item())
        assert mine.grad.isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in loss.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (AlignmentSettings("partial_ot"), "no alignment loss"),
        (AlignmentSettings("partial-ot", metric="euclid"), "no metric"),
        (AlignmentSettings("partial-ot", mass=1.2), "mass of 1.2"),
        (AlignmentSettings("ot", regularization=0), "regularization of 0"),
        (AlignmentSettings("ot", iterations=0), "0 iterations"),
        (AlignmentSettings("infonce", temperature=0.001), "temperature of 0.001"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_computed(settings: AlignmentSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build_alignment_loss(4, settings)
    assert caught.value.hint


def test_a_loss_that_does_not_say_how_it_measures_cannot_be_made() -> None:
    class Unfinished(AlignmentLoss):
        """Says nothing."""

    with pytest.raises(TypeError, match="measure"):
        Unfinished(AlignmentSettings())
