from __future__ import annotations

import pytest
import torch
from torch import nn

from med3dinsight.pretraining.projection import perceptron
from med3dinsight.pretraining.teacher import Teacher, momentum_at


def test_momentum_rises_from_its_start_to_one() -> None:
    values = [momentum_at(step, 50, 0.9) for step in range(51)]
    assert values[0] == pytest.approx(0.9)
    assert values[-1] == 1
    assert values == sorted(values)


def test_a_teacher_follows_by_the_momentum_and_neither_trains_nor_drops() -> None:
    student = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    teacher = Teacher(student, 0.9, 100)
    before = teacher.module[0].weight.clone()
    with torch.no_grad():
        student[0].weight += 1
    teacher.train()
    teacher.follow(student, 0)
    assert torch.allclose(teacher.module[0].weight, before + 0.1)
    assert not any(value.requires_grad for value in teacher.parameters())
    assert not teacher.module[1].training


def test_heads_normalise_over_the_batch_and_keep_nothing_of_it() -> None:
    head = perceptron((4, 8, 3), norm=True, last_norm=True)
    batch = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    out = head(batch)
    assert torch.allclose(out.mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(head.eval()(batch), out)
    assert not list(head.buffers())
    assert [type(layer).__name__ for layer in perceptron((4, 8, 3))] == ["Linear", "ReLU", "Linear"]
