from __future__ import annotations

import itertools

import torch

from med3dinsight.readouts.ranking import first_place, first_places, places


def test_drawn_places_are_the_mean_over_all_orders_of_the_tied() -> None:
    scores = torch.tensor([0.7, 0.7, 0.9, 0.7, 0.1])
    better, tied = places(scores, scores[:1])
    for k in range(1, 6):
        hits = []
        for order in itertools.permutations(range(5)):
            ranked = sorted(order, key=lambda index: -float(scores[index]))  # stable: ties stay as drawn
            hits.append(ranked.index(0) < k)
        assert float(first_places(better, tied, k)) == torch.tensor(sum(hits) / len(hits)).float()


def test_the_first_place_is_one_of_the_first_one() -> None:
    torch.manual_seed(0)
    scores = torch.randint(0, 4, (50, 6)).float()
    assert torch.equal(first_place(scores, scores[:, :1]), first_places(*places(scores, scores[:, :1]), 1))
    hit = scores[:, 0] == scores.amax(-1)
    assert torch.equal(first_place(scores, scores[:, :1]) > 0, hit)
