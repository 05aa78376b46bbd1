"""Every encoder with every method at tiny size: it runs, and what is learned reaches the encoder; or it is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from learned_workspace import TOWERS, TowerEntry, Toy, ToyTowers, pretrain_config
from safetensors.torch import load_file

from med3dinsight.encoders import ENCODERS, create_encoder
from med3dinsight.errors import ConfigError
from med3dinsight.pretraining.forecast import forecast
from med3dinsight.pretraining.methods import METHODS
from med3dinsight.pretraining.run import run
from med3dinsight.training.seeding import seed_weights
from med3dinsight.workspace import Workspace

SIZE = 32
TINY = sorted(name for name in ENCODERS if name.endswith("_tiny"))
#: Pairs that make no sense, with a word of the reason that the user gets.
REFUSED: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Crops of 32³ voxels of two people, embedded."""
    with pytest.MonkeyPatch.context() as patch:
        towers = ToyTowers()
        patch.setitem(TOWERS, "toy", TowerEntry(lambda device: towers, 0, "for tests", "the tests"))
        patch.setattr("learned_workspace.CROP", SIZE)
        toy = Toy(tmp_path_factory.mktemp("matrix"), towers)
        for subject in ("anna", "bert"):
            toy.add(subject, shape=(40, 38, 36))
        toy.prepare()
        toy.caption(crops=2)
        toy.embed()
        return toy.workspace


def walk(work: Workspace, encoder: str, method: str) -> None:
    """Takes one step of a pair and looks at what it left."""
    name = f"{encoder}-{method}"
    config = pretrain_config(run=name, encoder=encoder, method=method, steps=1, slices_per_volume=None)
    if (encoder, method) in REFUSED:
        with pytest.raises(ConfigError, match=REFUSED[encoder, method]):
            run(config, work)
        return
    result = run(config, work)
    seed_weights(config.seed)
    start = dict(create_encoder(encoder, image_size=SIZE).named_parameters())
    ended = load_file(Path(result.checkpoint))
    assert start.keys() <= ended.keys()
    moved = [key for key, value in start.items() if not torch.equal(value, ended[key])]
    if METHODS[method].build is None:
        assert not moved
    else:
        assert result.final_loss is not None
        assert math.isfinite(result.final_loss)
        assert moved


@pytest.mark.parametrize("encoder", TINY)
def test_every_encoder_is_pretrained_by_insight(work: Workspace, encoder: str) -> None:
    walk(work, encoder, "insight")


@pytest.mark.parametrize("method", [method for method in METHODS if method != "insight"])
def test_every_method_pretrains_the_demos_encoder(work: Workspace, method: str) -> None:
    walk(work, "conv_tiny", method)


@pytest.mark.slow
@pytest.mark.parametrize("method", [method for method in METHODS if method != "insight"])
@pytest.mark.parametrize("encoder", [encoder for encoder in TINY if encoder != "conv_tiny"])
def test_every_encoder_is_pretrained_by_every_method(work: Workspace, encoder: str, method: str) -> None:
    walk(work, encoder, method)


def test_every_full_size_network_has_a_tiny_form_that_the_matrix_walks() -> None:
    families = {name.removesuffix("_tiny") for name in TINY}
    full = {name for name in ENCODERS if not name.endswith("_tiny")}
    without = {name for name in full if not any(name.startswith(family.split("_")[0]) for family in families)}
    assert not without


@pytest.mark.parametrize("encoder", TINY)
def test_every_encoder_has_a_forecast_of_its_memory(work: Workspace, encoder: str) -> None:
    told = forecast(pretrain_config(encoder=encoder, slices_per_volume=None, ot_iterations=20), work)
    assert told["peak_memory_bytes"] > told["of_which_process"] > 0


@pytest.mark.parametrize("method", [method for method in METHODS if method != "insight"])
def test_every_method_has_a_forecast_of_its_memory(work: Workspace, method: str) -> None:
    fewer = {"ot_iterations": 20} if method.startswith("extended") else {}
    told = forecast(pretrain_config(method=method, slices_per_volume=None, **fewer), work)
    assert told["peak_memory_bytes"] > told["of_which_process"] > 0
