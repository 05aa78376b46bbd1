from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest
import torch
from learned_workspace import Toy, pretrain_config
from torch import nn

from med3dinsight.encoders import ENCODERS
from med3dinsight.encoders.catalog import EncoderEntry
from med3dinsight.encoders.conv_tiny import ConvTiny
from med3dinsight.encoders.encoder import EncoderOutput
from med3dinsight.encoders.nnformer import NNFormerEncoder
from med3dinsight.errors import ConfigError
from med3dinsight.pretraining.building import build_objective
from med3dinsight.pretraining.forecast import forecast
from med3dinsight.pretraining.gradient_cache import backward
from med3dinsight.pretraining.methods import find_method
from med3dinsight.pretraining.resolving import resolve
from med3dinsight.pretraining.targets import load_pool
from med3dinsight.workspace.voxel_store import VoxelStore

GRADIENT = {"psat_dropout": 0.0, "num_queries": 4, "psat_width": 32, "psat_layers": 1, "psat_heads": 4}


@pytest.fixture
def gradients(toy: Toy) -> Any:
    """Gradients of one step's batch, in chunks or whole."""
    work = toy.ready("anna", "bert")

    def compute(chunk: int | None, **changes: Any) -> dict[str, torch.Tensor]:
        config = resolve(pretrain_config(batch_volumes=7, precision="fp32", **{**GRADIENT, **changes}))
        pool = load_pool(config, work, VoxelStore(work.prepared), True)
        objective = build_objective(config, pool).objective
        assert isinstance(objective, nn.Module)
        backward(objective, objective.draw(pool, 0), chunk, 5, contextlib.nullcontext)
        return {name: value.grad for name, value in objective.named_parameters() if value.grad is not None}

    return compute


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """The whole gradient to 1e-5 of its norm; each parameter's to 5e-5 of its own, where that is more than rounding."""
    assert one.keys() == other.keys()
    assert distance(one, other) < 1e-5
    whole = sum(float(value.square().sum()) for value in other.values()) ** 0.5
    for name, value in other.items():
        assert (one[name] - value).norm() <= max(5e-5 * value.norm(), 1e-7 * whole), name


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Norm of the difference over that of the other."""
    squares = sum(float((one[name] - value).square().sum()) for name, value in other.items())
    return float((squares / sum(float(value.square().sum()) for value in other.values())) ** 0.5)


@pytest.mark.parametrize("chunk", [1, 3, 6])
@pytest.mark.parametrize(
    "changes",
    [
        {"method": "insight", "alignment": "infonce"},
        {"method": "extended", "reconstruction": "masked", "slices_per_volume": 3},
        {"method": "extended-code", "alignment": "weighted-partial-ot"},
        {"method": "paper", "alignment": "sigmoid"},
    ],
    ids=lambda changes: changes["method"],
)
def test_the_gradient_of_chunks_is_that_of_the_batch(gradients: Any, chunk: int, changes: dict[str, Any]) -> None:
    whole, cut = gradients(None, **changes), gradients(chunk, **changes)
    assert_equal(cut, whole)


@pytest.mark.parametrize("encoder", ["conv_tiny", "dropping"])
def test_with_dropout_the_gradient_of_chunks_is_that_of_the_masks_that_they_draw(
    toy: Toy, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against plain autograd through all chunks at once, each of which draws once; whole batches draw other masks."""
    paths = EncoderEntry(
        lambda *_: NNFormerEncoder(width=16, num_heads=(1, 2, 4, 8), drop_path=0.5), None, None, "", ""
    )
    monkeypatch.setitem(ENCODERS, "dropping", paths)
    work = toy.ready("anna", "bert")
    config = resolve(pretrain_config(**{**GRADIENT, "psat_dropout": 0.5}, batch_volumes=5, encoder=encoder))
    pool = load_pool(config, work, VoxelStore(work.prepared), True)
    objective = build_objective(config, pool).objective
    assert isinstance(objective, nn.Module)
    objective.train()
    inputs = objective.draw(pool, 0)

    def taken() -> dict[str, torch.Tensor]:
        found = {name: value.grad for name, value in objective.named_parameters() if value.grad is not None}
        objective.zero_grad()
        return found

    parts = []
    for number, start in enumerate(range(0, 5, 2)):
        torch.manual_seed(7 + number)
        parts.append(objective.represent({name: value[start : start + 2] for name, value in inputs.items()}))
    together = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    expected_loss = objective.loss(together, inputs).total
    expected_loss.backward()
    expected = taken()
    loss = backward(objective, inputs, 2, 7, contextlib.nullcontext)[1].total
    cached = taken()
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-6)
    assert_equal(cached, expected)
    backward(objective, inputs, None, 7, contextlib.nullcontext)
    assert distance(taken(), expected) > 0.1


class Normalised(ConvTiny):
    """Scales its tokens by their mean, normalised over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.extra, self.unused = nn.BatchNorm1d(self.embed_dim), nn.BatchNorm3d(4)

    def forward(self, volume: torch.Tensor) -> EncoderOutput:
        encoded = super().forward(volume)
        return replace(encoded, tokens=encoded.tokens * self.extra(encoded.tokens.mean(1))[:, None])


def step_of(toy: Toy, chunk: int | None, encoder: nn.Module, method: str = "insight", **changes: Any) -> None:
    """One step's gradient; the head of gtgm gets a batch norm."""
    config = resolve(pretrain_config(method=method, **{"batch_volumes": 4, **changes}))
    pool = load_pool(config, toy.workspace, VoxelStore(toy.workspace.prepared), find_method(method).features)
    objective = build_objective(config, pool, encoder).objective
    assert isinstance(objective, nn.Module)
    if method == "gtgm":
        objective.project = nn.Sequential(objective.project, nn.BatchNorm1d(8))
    backward(objective, objective.draw(pool, 0), chunk, 5, contextlib.nullcontext)


def test_chunks_are_refused_where_layers_normalise_over_the_batch(toy: Toy) -> None:
    toy.ready("anna", "bert")
    for encoder, method, name in (
        (Normalised(), "insight", "model.encoder.extra"),
        (ConvTiny(), "gtgm", "project.1"),
    ):
        step_of(toy, None, encoder, method)
        with pytest.raises(ConfigError, match=f"micro_batch = 2: {name} normalises over the batch") as caught:
            step_of(toy, 2, encoder, method)
        assert "leave pretrain.micro_batch out" in caught.value.hint
        assert not any(layer._forward_pre_hooks for layer in encoder.modules())


def test_layers_that_take_no_statistics_of_the_batch_may_see_chunks(toy: Toy) -> None:
    """Those that do not learn any more, those that only the loss uses, and those that nobody uses."""
    toy.ready("anna", "bert")
    frozen = Normalised()
    frozen.extra.train = lambda mode=True: frozen.extra  # type: ignore[method-assign]
    frozen.extra.training = False
    step_of(toy, 2, frozen)
    step_of(toy, 2, ConvTiny(), "simclr")


def test_one_value_alone_is_not_normalised(toy: Toy) -> None:
    toy.ready("anna", "bert")
    with pytest.raises(ConfigError, match="extra normalises over the batch, and there is one value") as caught:
        step_of(toy, None, Normalised(), batch_volumes=1)
    assert "raise pretrain.batch_volumes" in caught.value.hint


def test_a_forecast_refuses_as_the_run_does(toy: Toy) -> None:
    work = toy.ready("anna", "bert")
    with pytest.raises(ConfigError, match="normalises over the batch"):
        forecast(pretrain_config(encoder="i3resnet_tiny", batch_volumes=4, micro_batch=2), work)


@pytest.mark.slow
def test_4096_pairs_of_32_volumes_take_the_memory_of_a_few_volumes_and_their_pairs_and_give_the_same_gradient(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from med3dinsight.training.memory import StorageMeter

    monkeypatch.setattr("learned_workspace.CROP", 40)
    work = toy.ready("anna", "bert")
    config = resolve(
        pretrain_config(batch_volumes=32, slices_per_volume=128, precision="fp32", psat_width=32, ot_iterations=10)
    )
    pool = load_pool(config, work, VoxelStore(work.prepared), True)
    objective = build_objective(config, pool).objective
    assert isinstance(objective, nn.Module)
    inputs = objective.draw(pool, 0)
    found: list[tuple[int, dict[str, torch.Tensor]]] = []
    for chunk in (None, 2):
        objective.zero_grad()
        with StorageMeter() as meter:
            backward(objective, inputs, chunk, 5, contextlib.nullcontext)
        gradients = {name: value.grad.clone() for name, value in objective.named_parameters() if value.grad is not None}
        found.append((meter.peak, gradients))
    (whole_peak, whole), (cut_peak, cut) = found
    # What 4096 x 4096 similarities take is the loss's own, however the volumes are encoded.
    with StorageMeter() as meter:
        represented = {name: torch.rand(32, 128, 8, requires_grad=True) for name in ("image", "text")}
        objective.loss(represented, inputs).total.backward()
    assert cut_peak - meter.peak < (whole_peak - meter.peak) / 5
    difference = torch.cat([(cut[name] - value).flatten() for name, value in whole.items()])
    assert difference.norm() < 1e-5 * torch.cat([value.flatten() for value in whole.values()]).norm()
