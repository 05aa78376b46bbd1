from __future__ import annotations

import pytest
from learned_workspace import pretrain_config

from med3dinsight.errors import ConfigError
from med3dinsight.pretraining import list_methods
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.methods import psat_settings, resolve


def test_the_papers_method_has_the_papers_numbers() -> None:
    method = resolve(PretrainConfig(method="paper"))
    settings = psat_settings(method)
    assert (settings.num_queries, settings.width, settings.num_layers) == (300, 512, 1)
    assert (settings.position_init, settings.distance_bias) == ("zero", False)
    assert method.slices_per_volume == 1


def test_ours_asks_several_slices_with_the_distance_bias() -> None:
    method = resolve(PretrainConfig())
    assert (method.slices_per_volume, psat_settings(method).distance_bias) == (8, True)


def test_every_choice_can_be_changed_alone() -> None:
    changes = {"num_queries": 7, "psat_width": 64, "psat_layers": 3, "pooling": "first", "position_init": "normal"}
    before = psat_settings(resolve(PretrainConfig()))
    settings = psat_settings(resolve(PretrainConfig(**changes, distance_bias=False, slices_per_volume=3)))
    assert (settings.num_queries, settings.width, settings.num_layers) == (7, 64, 3)
    assert (settings.pooling, settings.position_init, settings.distance_bias) == ("first", "normal", False)
    assert (settings.num_heads, settings.ffn_width) == (before.num_heads, before.ffn_width)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"method": "insigth"}, "no pre-training method called insigth", "did you mean insight?"),
        ({"batch_volumes": 1, "slices_per_volume": 1}, "leaves nothing to contrast", "2 or more"),
        ({"method": "paper", "batch_volumes": 1, "slices_per_volume": None}, "leaves nothing to contrast", "2 or more"),
        ({"psat_width": 30}, "psat_width = 30 is no multiple of 4 heads", "a multiple of 4"),
    ],
)
def test_choices_that_cannot_work_are_refused(changes: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(pretrain_config(**changes))
    assert hint in caught.value.hint


@pytest.mark.parametrize(("volumes", "slices"), [(1, 2), (2, 1)])
def test_two_pairs_are_enough(volumes: int, slices: int) -> None:
    assert resolve(pretrain_config(batch_volumes=volumes, slices_per_volume=slices))


def test_the_list_of_methods_names_their_source() -> None:
    assert {row["name"]: row["source"] for row in list_methods()} == {"insight": "ours", "paper": "arXiv 2403.05141"}
