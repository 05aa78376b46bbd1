from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from med3dinsight.alignment import PSAT_PRESETS, PlaneSliceAwareTransformer, PSATSettings
from med3dinsight.encoders.encoder import token_positions

SETTINGS = PSATSettings(width=16, num_queries=3, num_layers=2, num_heads=4, ffn_width=24, num_positions=8)
GRID = (2, 3, 4)


def psat(**changes: object) -> PlaneSliceAwareTransformer:
    torch.manual_seed(1)
    return PlaneSliceAwareTransformer(10, 5, 6, replace(SETTINGS, **changes))


def question(b: int = 2, k: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(2)
    return torch.randn(b, 24, 10), token_positions(GRID), torch.randint(0, 3, (b, k)), torch.rand(b, k)


def test_many_slices_at_once_are_as_many_questions_one_by_one() -> None:
    module = psat(position_init="normal")
    tokens, centres, planes, positions = question()
    image, text = module(tokens, centres, planes, positions)
    assert image.shape == (2, 5, 5)
    assert text.shape == (2, 5, 6)
    for k in range(5):
        one_image, one_text = module(tokens, centres, planes[:, k : k + 1], positions[:, k : k + 1])
        assert torch.allclose(one_image[:, 0], image[:, k], atol=1e-6)
        assert torch.allclose(one_text[:, 0], text[:, k], atol=1e-6)


def test_volumes_of_a_batch_do_not_see_each_other() -> None:
    module = psat(position_init="normal")
    tokens, centres, planes, positions = question()
    image, _ = module(tokens, centres, planes, positions)
    alone, _ = module(tokens[1:], centres, planes[1:], positions[1:])
    assert torch.allclose(alone[0], image[1], atol=1e-6)


def test_the_order_of_the_tokens_does_not_matter_as_long_as_their_places_go_along() -> None:
    module = psat(position_init="normal")
    tokens, centres, planes, positions = question()
    order = torch.randperm(24)
    image, _ = module(tokens, centres, planes, positions)
    permuted, _ = module(tokens[:, order], centres[order], planes, positions)
    assert torch.allclose(image, permuted, atol=1e-6)
    misplaced, _ = module(tokens[:, order], centres, planes, positions)
    assert not torch.allclose(image, misplaced, atol=1e-4)


@pytest.mark.parametrize(("plane", "axis"), [(0, 2), (1, 1), (2, 0)])
def test_the_distance_bias_turns_attention_to_tokens_near_the_plane(plane: int, axis: int) -> None:
    """The answer depends most on tokens where the slice lies; without the bias the place is no matter."""
    grid = (4, 4, 4)
    centres = token_positions(grid)
    torch.manual_seed(5)
    tokens = torch.randn(1, 64, 10)

    def pull_of_layers(module: PlaneSliceAwareTransformer, position: float) -> Tensor:
        leaf = tokens.clone().requires_grad_()
        image, _ = module(leaf, centres, torch.tensor([[plane]]), torch.tensor([[position]]))
        image.square().sum().backward()
        size = leaf.grad[0].norm(dim=-1).reshape(grid)
        return size.movedim(axis, 0).flatten(1).mean(1)

    for layer, position in enumerate((0.125, 0.375, 0.625, 0.875)):
        biased = pull_of_layers(psat(num_layers=1), position)
        assert int(biased.argmax()) == layer
        nearest_first = biased[(torch.arange(4) - layer).abs().argsort(stable=True)]
        assert float(nearest_first[-1]) < 0.5 * float(nearest_first[0])
        plain = pull_of_layers(psat(num_layers=1, distance_bias=False), position)
        assert torch.allclose(plain, pull_of_layers(psat(num_layers=1, distance_bias=False), 0.5))


def test_slopes_are_positive_and_learned() -> None:
    module = psat(num_layers=1)
    tokens, centres, planes, positions = question()
    module(tokens, centres, planes, positions)[0].square().sum().backward()
    slopes = module.layers[0].cross_attention.log_slopes
    assert slopes.grad.abs().min() > 0
    assert slopes.exp().min() > 0


def test_at_the_start_plane_and_position_change_nothing_but_the_attention_bias() -> None:
    tokens, centres, planes, positions = question()
    for side in psat(distance_bias=False)(tokens, centres, planes, positions):
        assert torch.allclose(side, side[:, :1].expand_as(side), atol=1e-6)
    biased, _ = psat(distance_bias=True)(tokens, centres, planes, positions)
    assert not torch.allclose(biased, biased[:, :1].expand_as(biased), atol=1e-4)


def test_outputs_are_pooled_as_asked() -> None:
    """With one query both ways are the same; with several the first one's own output is another one."""
    question_ = question()
    assert torch.equal(psat(num_queries=1)(*question_)[0], psat(num_queries=1, pooling="first")(*question_)[0])
    mean, first = psat()(*question_)[0], psat(pooling="first")(*question_)[0]
    assert not torch.allclose(mean, first, atol=1e-4)


def test_every_parameter_gets_a_gradient() -> None:
    module = psat(position_init="normal")
    image, text = module(*question(k=6))
    (image.square().sum() + text.square().sum()).backward()
    without = [name for name, value in module.named_parameters() if value.grad is None or not value.grad.any()]
    assert not without


@pytest.mark.parametrize("name", PSAT_PRESETS)
def test_dropout_is_off_in_evaluation_and_on_in_training_where_there_is_any(name: str) -> None:
    settings = replace(PSAT_PRESETS[name], width=16, num_queries=3, num_heads=4, ffn_width=8, num_positions=8)
    torch.manual_seed(1)
    module = PlaneSliceAwareTransformer(10, 5, 5, settings).eval()
    question_ = question()
    assert torch.equal(module(*question_)[0], module(*question_)[0])
    trained = module.train()(*question_)[0], module(*question_)[0]
    assert torch.equal(*trained) == (settings.dropout == 0)


def test_pooling_by_attention_starts_as_the_mean_and_learns() -> None:
    question_ = question()
    module = psat(pooling="attention")
    assert torch.allclose(module(*question_)[0], psat(pooling="mean")(*question_)[0], atol=1e-6)
    module(*question_)[0].square().sum().backward()
    assert module.score.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"module": "queries"},
        {"module": "linear"},
        {"norm": "pre", "position_at": "every_layer", "pooling": "attention", "positions": "table"},
        {"project": "shared", "input_norm": False, "activation": "relu"},
    ],
    ids=str,
)
def test_whatever_is_chosen_every_parameter_gets_a_gradient_and_slices_are_asked_alone(
    changes: dict[str, object],
) -> None:
    torch.manual_seed(1)
    module = PlaneSliceAwareTransformer(10, 5, 5, replace(SETTINGS, position_init="normal", **changes))
    tokens, centres, planes, positions = question(k=24)
    image, text = module(tokens, centres, planes, positions)
    assert image.shape == text.shape == (2, 24, 5)
    alone = module(tokens, centres, planes[:, 3:4], positions[:, 3:4])[0]
    assert torch.allclose(alone[:, 0], image[:, 3], atol=1e-6)
    (image.square().sum() + text.square().sum()).backward()
    assert not [name for name, value in module.named_parameters() if value.grad is None or not value.grad.any()]
