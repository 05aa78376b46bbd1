from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from sklearn.metrics import top_k_accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

from med3dinsight.readouts import retrieval as module
from med3dinsight.readouts.retrieval import both_ways, retrieval


def noisy(m: int = 60, noise: float = 1.5) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    rows = torch.randn(m, 16)
    return 3 * rows, rows + noise * torch.randn(m, 16)


def test_recall_is_scikit_learns_top_k_accuracy_of_cosine_similarity_both_ways() -> None:
    one, other = noisy()
    for scores, (a, b) in zip(both_ways(one, other), ((one, other), (other, one)), strict=True):
        similarity = cosine_similarity(a.numpy(), b.numpy())
        for k in (1, 5, 10):
            expected = top_k_accuracy_score(np.arange(60), similarity, k=k)
            assert scores.recall[k] == pytest.approx(expected, abs=1e-6)
        assert 0.2 < scores.recall[1] < 0.95
        assert scores.candidates == 60


def test_the_median_rank_is_scipys() -> None:
    one, other = noisy(m=61, noise=3)
    ranks = rankdata(-cosine_similarity(one.numpy(), other.numpy()), axis=1)
    assert retrieval(one, other).median_rank == np.median(np.diagonal(ranks))


def test_tied_candidates_share_the_mean_of_their_places() -> None:
    """Two slices in three have the same caption: neither can be retrieved for sure."""
    torch.manual_seed(0)
    rows = torch.randn(10, 8)[torch.arange(30) // 3]
    scores = retrieval(rows, rows, at=(1, 2, 3))
    assert scores.recall == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1.0})
    assert scores.median_rank == 2


def test_answers_that_are_all_alike_retrieve_at_chance() -> None:
    _, other = noisy(m=40)
    for scores in both_ways(torch.ones(40, 16), other):
        if scores.recall[1] > 0:  # from the texts to the answers: all are tied
            assert scores.recall == pytest.approx(scores.chance)
            assert scores.median_rank == scores.chance_median_rank == 20.5
    assert both_ways(torch.ones(40, 16), other)[1].recall == pytest.approx({1: 1 / 40, 5: 5 / 40, 10: 10 / 40})
    assert both_ways(torch.ones(40, 16), other)[0].recall[1] == pytest.approx(1 / 40), "all name the same candidate"


def test_chance_is_what_rows_without_relation_get() -> None:
    torch.manual_seed(1)
    scores = retrieval(torch.randn(3000, 4), torch.randn(3000, 4))
    assert scores.recall[10] == pytest.approx(scores.chance[10], rel=0.5)
    assert scores.median_rank == pytest.approx(scores.chance_median_rank, rel=0.05)
    assert retrieval(torch.randn(3, 4), torch.randn(3, 4)).chance == {1: 1 / 3, 5: 1.0, 10: 1.0}


def test_the_number_of_rows_held_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = noisy()
    whole = retrieval(one, other)
    monkeypatch.setattr(module, "ROWS", 7)
    assert retrieval(one, other) == whole
