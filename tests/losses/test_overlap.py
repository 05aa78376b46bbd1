from __future__ import annotations

import math

import pytest
import torch

from med3dinsight.losses.overlap import base_discrepancy, overlap_prediction


def test_a_similarity_that_is_the_overlap_costs_nothing() -> None:
    bases = torch.eye(4)[None]
    crop = torch.tensor([[0.6, 0.8, 0, 0]])
    assert overlap_prediction(crop, bases, crop).item() == pytest.approx(0, abs=1e-5)


def test_it_is_the_papers_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    crops, bases = torch.randn(2, 6, generator=generator), torch.randn(2, 3, 6, generator=generator)
    overlaps = torch.rand(2, 3, generator=generator)
    total = 0.0
    for volume in range(2):
        for base in range(3):
            likeness = torch.cosine_similarity(crops[volume], bases[volume, base], dim=0).clamp(min=0)
            total -= math.log(1 - abs(overlaps[volume, base] - likeness))
    assert overlap_prediction(crops, bases, overlaps).item() == pytest.approx(total / 6, rel=1e-5)


def test_bases_learn_by_discrepancy_only_and_a_wholly_wrong_crop_stays_finite() -> None:
    bases = torch.eye(2)[None].clone().requires_grad_()
    crops = torch.tensor([[1.0, 0]], requires_grad=True)
    loss = overlap_prediction(crops, bases, torch.tensor([[0.0, 1.0]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert bases.grad is None


def test_discrepancy_is_the_mean_likeness_of_pairs_of_bases() -> None:
    assert base_discrepancy(torch.eye(3)[None]).item() == pytest.approx(0, abs=1e-6)
    assert base_discrepancy(torch.tensor([[[1.0, 0], [1, 0], [0, -1]]])).item() == pytest.approx(1 / 3, rel=1e-5)
    assert base_discrepancy(torch.tensor([[[1.0, 0], [-2, 0]]])).item() == pytest.approx(1, rel=1e-5)
