from __future__ import annotations

import numpy as np
import pytest

from med3dinsight.encoders.windows import axis_segments, pair_places, row_order, window_plan

GRIDS = [((7, 7, 7), 7, 0), ((8, 14, 16), 7, 0), ((8, 14, 16), 7, 3), ((10, 24, 9), 4, 2), ((5, 6, 11), 4, 2)]


def padded_and_rolled(size: int, window: int, shift: int) -> list[tuple[int, int, int]]:
    """For each token of a padded axis: its window after the roll, the region that the mask keeps, its place there."""
    padded = -(-size // window) * window
    found = []
    for token in range(padded):
        rolled = (token - shift) % padded
        region = 0 if shift == 0 or rolled < padded - window else 1 if rolled < padded - shift else 2
        found.append((rolled // window, region, rolled % window))
    return found


@pytest.mark.parametrize(("grid", "window", "shift"), GRIDS)
def test_tokens_share_a_box_exactly_if_a_rolled_and_masked_window_shows_them_to_each_other(
    grid: tuple[int, int, int], window: int, shift: int
) -> None:
    plan = window_plan(grid, (window,) * 3, (shift,) * 3, (window,) * 3)
    axes = [padded_and_rolled(size, window, shift) for size in grid]
    boxes: dict[int, set[tuple[int, ...]]] = {}
    row, number = 0, 0
    for group in plan.boxes:
        for _ in range(group.count):
            for place in group.places:
                x, y, z = (int(n) for n in np.unravel_index(plan.order[row], grid))
                here = (axes[0][x], axes[1][y], axes[2][z])
                assert place == (here[0][2] * window + here[1][2]) * window + here[2][2]
                boxes.setdefault(number, set()).add(tuple(n for axis in here for n in axis[:2]))
                row += 1
            number += 1
    assert sorted(plan.order) == list(range(int(np.prod(grid))))
    # One box sees one window and region, and no two boxes see the same one.
    assert all(len(seen) == 1 for seen in boxes.values())
    assert len(set.union(*boxes.values())) == len(boxes)


@pytest.mark.parametrize(("grid", "window", "shift"), GRIDS)
def test_every_padded_token_that_a_window_shows_is_counted(grid: tuple[int, int, int], window: int, shift: int) -> None:
    plan = window_plan(grid, (window,) * 3, (shift,) * 3, (window,) * 3)
    axes = [padded_and_rolled(size, window, shift) for size in grid]
    members = [{} for _ in range(3)]
    for axis, tokens in enumerate(axes):
        for token, (number, region, _) in enumerate(tokens):
            members[axis].setdefault((number, region), []).append(token < grid[axis])
    expected = sorted(
        (sum(a) * sum(b) * sum(c), len(a) * len(b) * len(c))
        for a in members[0].values()
        for b in members[1].values()
        for c in members[2].values()
        if any(a) and any(b) and any(c)
    )
    found = sorted(
        (len(group.places), len(group.places) + len(group.padding)) for group in plan.boxes for _ in range(group.count)
    )
    assert found == expected


def test_axis_segments_leave_out_windows_of_padding_only() -> None:
    segments = axis_segments(8, 7, 3)
    assert [(s.start, s.length, s.padding, s.offset) for s in segments] == [(0, 3, 0, 4), (3, 5, 2, 0)]


def test_rows_of_a_batch_keep_each_box_in_its_own_volume() -> None:
    plan = window_plan((4, 4, 6), (4, 4, 4), (0, 0, 0), (4, 4, 4))
    order, inverse = row_order(plan, 3)
    assert (order[inverse] == np.arange(3 * 96)).all()
    first_group = order[: 3 * 64].reshape(3, 64)
    assert (first_group // 96 == np.arange(3)[:, None]).all()
    assert (first_group % 96 == plan.order[:64]).all()


def test_pairs_are_found_in_the_table_of_the_whole_window() -> None:
    plan = window_plan((4, 4, 6), (4, 4, 4), (0, 0, 0), (4, 4, 4))
    pairs = pair_places(plan, 64)
    whole, small = plan.boxes
    assert (pairs[: 64 * 64] == np.arange(64 * 64)).all()
    assert len(small.places) == 32 and len(small.padding) == 32
    assert (pairs[64 * 64 : 64 * 64 + 32] == small.places[0] * 64 + small.places).all()
    assert (pairs[-32:] == small.places[-1] * 64 + small.padding).all()
    assert whole.count == 1
