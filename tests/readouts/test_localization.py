from __future__ import annotations

import pytest
import torch
from torch import Tensor

from med3dinsight.readouts.localization import blind_guess, crop_hits, localize, position_errors

CROPS, PLANES, POSITIONS = 4, 3, 5
SPACING = 12.0
ALL = torch.ones(CROPS, PLANES, POSITIONS, dtype=torch.bool)
PLACES = ((torch.arange(POSITIONS) + 0.5) * SPACING).expand(CROPS, PLANES, POSITIONS)


@pytest.fixture
def features() -> tuple[Tensor, Tensor]:
    """Image and text features of every slice, no two alike."""
    torch.manual_seed(0)
    return torch.randn(CROPS, PLANES, POSITIONS, 40), torch.randn(CROPS, PLANES, POSITIONS, 30)


def test_answers_that_are_the_features_locate_every_slice(features: tuple[Tensor, Tensor]) -> None:
    scores = localize(features, features, ALL, PLACES)
    assert (scores.mean_mm, scores.median_mm, scores.crop_recall_at_1) == (0.0, 0.0, 1.0)
    assert (scores.gallery, scores.slices) == (CROPS, CROPS * PLANES * POSITIONS)


def test_answers_that_are_one_position_off_are_one_spacing_wrong(features: tuple[Tensor, Tensor]) -> None:
    shifted = tuple(side.roll(1, 2) for side in features)
    errors = position_errors(shifted, features, PLACES)  # type: ignore[arg-type]
    assert (errors[..., :-1] == SPACING).all()
    assert (errors[..., -1] == (POSITIONS - 1) * SPACING).all(), "the last one's answer stands first"
    # Every crop answers alike wrongly, so which crop it is can no longer be told.
    assert localize(shifted, features, ALL, PLACES).crop_recall_at_1 < 0.6  # type: ignore[arg-type]


def test_millimetres_are_those_of_each_volume_and_plane(features: tuple[Tensor, Tensor]) -> None:
    shifted = tuple(side.roll(1, 2) for side in features)
    places = PLACES.clone()
    places[1] *= 2
    places[2, 0] /= 3
    errors = position_errors(shifted, features, places)[..., :-1]  # type: ignore[arg-type]
    assert torch.allclose(errors[1], torch.tensor(2 * SPACING))
    assert torch.allclose(errors[2, 0], torch.tensor(SPACING / 3))
    assert torch.allclose(errors[2, 1:], torch.tensor(SPACING))


def test_answers_of_the_wrong_crops_find_no_crop(features: tuple[Tensor, Tensor]) -> None:
    wrong = tuple(side.roll(1, 0) for side in features)
    assert not crop_hits(wrong, features).any()  # type: ignore[arg-type]


def test_crops_that_all_answer_alike_hit_as_often_as_chance(features: tuple[Tensor, Tensor]) -> None:
    """A collapsed encoder must not look like a perfect one."""
    same = tuple(side[:1].expand_as(side) for side in features)
    hits = crop_hits(same, features)  # type: ignore[arg-type]
    assert torch.allclose(hits, torch.full_like(hits, 1 / CROPS))


def test_answers_that_are_the_same_everywhere_name_no_position(features: tuple[Tensor, Tensor]) -> None:
    """As a module does that ignores where it is asked; the first position must not be its guess."""
    same = tuple(side[:, :, :1].expand_as(side) for side in features)
    errors = position_errors(same, features, PLACES)  # type: ignore[arg-type]
    expected = (PLACES.unsqueeze(-1) - PLACES.unsqueeze(-2)).abs().mean(-1)
    assert torch.allclose(errors, expected)


def test_planes_are_never_mixed(features: tuple[Tensor, Tensor]) -> None:
    """Answers of another plane are no candidates: with them swapped, only what is left in place is found."""
    answers = tuple(side.clone() for side in features)
    for side in answers:
        side[:, 0], side[:, 1] = side[:, 1].clone(), side[:, 0].clone()
    errors = position_errors(answers, features, PLACES)  # type: ignore[arg-type]
    assert not errors[:, 2].any()
    assert errors[:, :2].mean() > SPACING / 2


@pytest.mark.parametrize(("match", "found"), [("image", True), ("text", False), ("both", True)])
def test_one_side_alone_can_be_asked_for(features: tuple[Tensor, Tensor], match: str, found: bool) -> None:
    torch.manual_seed(1)
    answers = features[0], 0.1 * torch.randn_like(features[1])
    errors = position_errors(answers, features, PLACES, match)
    assert (float(errors.mean()) < SPACING / 2) == found


def test_slices_that_show_nothing_do_not_count(features: tuple[Tensor, Tensor]) -> None:
    answers = tuple(side.clone() for side in features)
    for side in answers:
        side[0] = torch.randn_like(side[0])
    visible = ALL.clone()
    visible[0] = False
    scores = localize(answers, features, visible, PLACES)  # type: ignore[arg-type]
    assert (scores.mean_mm, scores.crop_recall_at_1) == (0.0, 1.0)
    assert scores.slices == (CROPS - 1) * PLANES * POSITIONS


def test_a_blind_guess_names_the_middle_of_what_is_asked_for() -> None:
    places = (torch.arange(5.0) * 10).expand(2, 3, 5)
    visible = torch.ones(2, 3, 5, dtype=torch.bool)
    scores = blind_guess(visible, places)
    assert scores.mean_mm == pytest.approx((20 + 10 + 0 + 10 + 20) / 5)
    assert scores.crop_recall_at_1 == 0.5
    assert scores.slices == 30
    only_ends = visible.clone()
    only_ends[:, :, 1:] = False
    assert blind_guess(only_ends, places).mean_mm == 0
