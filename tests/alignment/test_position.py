from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.alignment.position import PlaneSlicePositionEmbedding


def embedding(
    positions: int = 8, width: int = 3, lookup: Literal["interpolated", "table"] = "interpolated"
) -> PlaneSlicePositionEmbedding:
    torch.manual_seed(0)
    return PlaneSlicePositionEmbedding(width, positions, "normal", lookup)


def ask(module: PlaneSlicePositionEmbedding, plane: int, position: float) -> torch.Tensor:
    return module(torch.tensor([[plane]]), torch.tensor([[position]]))[0, 0]


def test_at_bin_centres_it_is_the_papers_table() -> None:
    module = embedding()
    planes = torch.arange(3).repeat_interleave(8).reshape(1, -1)
    positions = ((torch.arange(8) + 0.5) / 8).repeat(3).reshape(1, -1)
    assert torch.allclose(module(planes, positions)[0], module.table.reshape(24, 3), atol=1e-6)


def test_between_two_centres_it_is_their_mean_weighted_by_nearness() -> None:
    module = embedding()
    expected = 0.75 * module.table[1, 2] + 0.25 * module.table[1, 3]
    assert torch.allclose(ask(module, 1, (2.5 + 0.25) / 8), expected, atol=1e-6)


@given(plane=st.integers(0, 2), position=st.floats(-0.5, 1.5, width=32))
def test_it_is_numpys_linear_interpolation_flat_beyond_the_ends(plane: int, position: float) -> None:
    import numpy as np

    module = embedding()
    table = module.table[plane].detach().numpy()
    expected = [np.interp(position, (np.arange(8) + 0.5) / 8, table[:, column]) for column in range(3)]
    assert np.allclose(ask(module, plane, position).detach().numpy(), expected, atol=1e-5)


def test_it_starts_at_zero_as_in_the_paper_or_normal_as_in_the_authors_code() -> None:
    assert not PlaneSlicePositionEmbedding(16).table.any()
    torch.manual_seed(0)
    assert abs(float(PlaneSlicePositionEmbedding(16, init="normal").table.detach().std()) - 1) < 0.05


def test_a_question_teaches_its_own_two_entries_only() -> None:
    module = embedding()
    ask(module, 2, 3.25 / 8).sum().backward()
    touched = module.table.grad.abs().sum(-1).nonzero().tolist()
    assert touched == [[2, 2], [2, 3]]


@pytest.mark.parametrize(("slices", "entry_of"), [(8, lambda j: j), (16, lambda j: j // 2), (4, lambda j: 2 * j + 1)])
def test_the_lookup_takes_the_entry_of_the_slices_bin(slices: int, entry_of: Callable[[int], int]) -> None:
    """As many entries as slices: the paper's; half as many: slice // 2, as in the authors' code."""
    module = embedding(lookup="table")
    for plane in range(3):
        for j in range(slices):
            asked = ask(module, plane, (j + 0.5) / slices)
            assert torch.equal(asked, module.table[plane, entry_of(j)])


def test_the_lookup_stays_in_the_table_at_and_beyond_the_ends() -> None:
    module = embedding(lookup="table")
    for position, entry in ((-0.2, 0), (0.0, 0), (1.0, 7), (1.3, 7)):
        assert torch.equal(ask(module, 1, position), module.table[1, entry])
