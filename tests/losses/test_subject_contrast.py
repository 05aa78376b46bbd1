from __future__ import annotations

import math

import pytest
import torch

from med3dinsight.errors import ConfigError
from med3dinsight.losses import infonce
from med3dinsight.losses.subject_contrast import same_person, subject_contrast


@pytest.fixture
def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    first, second = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)).unbind(0)
    return first, second


def test_where_all_are_different_people_it_is_infonce(pairs: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert subject_contrast(*pairs, torch.arange(6)).item() == pytest.approx(infonce(*pairs).item(), rel=1e-6)


def test_other_volumes_of_one_person_are_no_negatives(pairs: tuple[torch.Tensor, torch.Tensor]) -> None:
    subjects = [0, 1, 2, 3, 4, 4]
    u, v = (torch.nn.functional.normalize(side, dim=1) for side in pairs)
    likeness = (u @ v.T / 0.07).tolist()
    total = 0.0
    for row in range(6):
        rivals = [other for other in range(6) if other == row or subjects[other] != subjects[row]]
        total -= likeness[row][row] - math.log(sum(math.exp(likeness[row][other]) for other in rivals))
        total -= likeness[row][row] - math.log(sum(math.exp(likeness[other][row]) for other in rivals))
    assert subject_contrast(*pairs, torch.tensor(subjects)).item() == pytest.approx(total / 12, rel=1e-5)


def test_pairs_of_one_person_are_marked_and_own_pairs_are_not() -> None:
    assert same_person(torch.tensor([3, 1, 3])).tolist() == [[False, False, True], [False] * 3, [True, False, False]]


def test_one_person_alone_is_refused(pairs: tuple[torch.Tensor, torch.Tensor]) -> None:
    with pytest.raises(ConfigError, match="belongs to one person"):
        subject_contrast(*pairs, torch.zeros(6, dtype=torch.long))
