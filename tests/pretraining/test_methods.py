from __future__ import annotations

import pytest
from learned_workspace import pretrain_config

from med3dinsight.errors import ConfigError
from med3dinsight.pretraining import list_methods
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.methods import METHODS
from med3dinsight.pretraining.psat_choices import psat_settings
from med3dinsight.pretraining.resolving import resolve


def test_the_papers_method_has_the_papers_numbers() -> None:
    method = resolve(PretrainConfig(method="paper"))
    settings = psat_settings(method)
    assert (settings.num_queries, settings.width, settings.num_layers) == (300, 512, 1)
    assert (settings.position_init, settings.distance_bias) == ("zero", False)
    assert method.slices_per_volume == 1


def test_ours_asks_several_slices_with_the_distance_bias() -> None:
    method = resolve(PretrainConfig())
    assert (method.slices_per_volume, psat_settings(method).distance_bias, method.alignment) == (8, True, "ot")


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
        ({"alignment": "infonce", "batch_volumes": 1, "slices_per_volume": 1}, "has nothing to contrast", "2 or more"),
        ({"method": "paper", "batch_volumes": 1, "slices_per_volume": None}, "has nothing to contrast", "2 or more"),
        ({"psat_width": 30}, "width = 30 is no multiple of its 4 heads", "a multiple of 4"),
        ({"alignment": "partial-ot", "batch_volumes": 1, "slices_per_volume": 1}, "loss is constant", "2 or more"),
        ({"psat_module": "queries", "slices_per_volume": 4}, "answers alike for all slices", "slices_per_volume to 1"),
        ({"no_text": True, "match": "text"}, "nothing to match", "one of them"),
        ({"watch": ("anna",)}, "watched subject anna is not held out", "--held-out anna"),
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
    rows = {row["name"]: row["source"] for row in list_methods()}
    assert rows.keys() == METHODS.keys()
    assert (rows["insight"], rows["paper"], rows["extended"]) == ("ours", "arXiv 2403.05141", "arXiv 2509.09064")


def test_the_extended_presets_differ_as_the_authors_code_does_from_what_was_meant() -> None:
    meant, code = (resolve(PretrainConfig(method=name)) for name in ("extended", "extended-code"))
    assert (meant.alignment, meant.metric, meant.reconstruction) == ("partial-ot", "psd", "masked")
    assert (code.alignment, code.metric, code.reconstruction) == ("partial-ot", "diagonal", "plain")
    assert (meant.ot_regularization, meant.ot_mass) == (code.ot_regularization, code.ot_mass) == (0.03, 0.95)
    assert (psat_settings(meant).ffn_width, psat_settings(code).ffn_width) == (4 * 768, 8)
