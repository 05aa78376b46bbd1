from __future__ import annotations

import math

import pytest
import torch

from med3dinsight.losses.self_distillation import self_distillation


def test_it_is_the_cross_entropy_of_all_pairs_of_different_views() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(3, 4, 5, generator=generator), torch.randn(3, 2, 5, generator=generator)
    centre = torch.randn(5, generator=generator)
    terms = []
    for example in range(3):
        for says in range(2):
            for guesses in range(4):
                if says == guesses:
                    continue
                right = ((teacher[example, says] - centre) / 0.05).softmax(0)
                terms.append(-(right * (student[example, guesses] / 0.2).log_softmax(0)).sum())
    expected = torch.stack(terms).mean().item()
    assert self_distillation(student, teacher, centre, 0.2, 0.05).item() == pytest.approx(expected, rel=1e-5)


def test_the_teacher_gets_no_gradient_and_the_centre_is_taken_off() -> None:
    student, teacher = torch.zeros(2, 2, 8, requires_grad=True), torch.ones(2, 2, 8, requires_grad=True)
    loss = self_distillation(student, teacher, torch.ones(8))
    loss.backward()
    assert teacher.grad is None
    assert loss.item() == pytest.approx(math.log(8), rel=1e-5)
    sharp = torch.zeros(2, 2, 8)
    sharp[..., 3] = 1
    assert self_distillation(sharp, sharp, torch.zeros(8)).item() < 0.01
    assert self_distillation(sharp, sharp, sharp[0, 0]).item() > 2
