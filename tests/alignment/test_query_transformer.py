from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from med3dinsight.alignment import PlaneSliceAwareTransformer, PSATSettings
from med3dinsight.alignment.query_transformer import CrossAttention
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


def test_it_is_torchs_transformer_decoder_with_the_position_added_to_queries_and_tokens() -> None:
    """The way of DETR, one slice at a time, for PSAT without its distance bias."""
    module = psat(position_init="normal", distance_bias=False)
    tokens, centres, planes, positions = question()
    image, text = module(tokens, centres, planes, positions)
    layers = []
    for layer in module.layers:
        cross = layer.cross_attention
        reference = torch.nn.TransformerDecoderLayer(16, 4, 24, 0.0, "gelu", batch_first=True)
        projections = (cross.query, cross.key, cross.value)
        reference.load_state_dict(
            {f"self_attn.{name}": value for name, value in layer.self_attention.state_dict().items()}
            | {"multihead_attn.in_proj_weight": torch.cat([part.weight for part in projections])}
            | {"multihead_attn.in_proj_bias": torch.cat([part.bias for part in projections])}
            | {f"multihead_attn.out_proj.{name}": value for name, value in cross.out.state_dict().items()}
            | {f"linear1.{name}": value for name, value in layer.mlp[0].state_dict().items()}
            | {f"linear2.{name}": value for name, value in layer.mlp[2].state_dict().items()}
            | {f"norm{k + 1}.{name}": v for k, norm in enumerate(layer.norms) for name, v in norm.state_dict().items()}
        )
        layers.append(reference)
    for row in range(2):
        memory = module.input_norm(module.input(tokens[row]))
        for slice_ in range(5):
            position = module.position(planes, positions)[row, slice_]
            queries = (module.queries + position)[None]
            for reference in layers:
                queries = reference(queries, (memory + position)[None])
            pooled = queries[0].mean(0)
            assert torch.allclose(image[row, slice_], module.to_image(pooled), atol=1e-5)
            assert torch.allclose(text[row, slice_], module.to_text(pooled), atol=1e-5)


def test_the_order_of_the_tokens_does_not_matter_as_long_as_their_places_go_along() -> None:
    module = psat(position_init="normal")
    tokens, centres, planes, positions = question()
    order = torch.randperm(24)
    image, _ = module(tokens, centres, planes, positions)
    permuted, _ = module(tokens[:, order], centres[order], planes, positions)
    assert torch.allclose(image, permuted, atol=1e-6)
    misplaced, _ = module(tokens[:, order], centres, planes, positions)
    assert not torch.allclose(image, misplaced, atol=1e-4)


@pytest.mark.parametrize("biased", [True, False])
def test_cross_attention_is_torchs_with_the_position_added_to_every_token(biased: bool) -> None:
    """The tokens are projected once a volume, whatever the number of slices; the result must be the long way's."""
    torch.manual_seed(3)
    b, k, q, n, width = 2, 4, 3, 24, 16
    module = CrossAttention(replace(SETTINGS, distance_bias=biased))
    queries, tokens = torch.randn(b, k, q, width), torch.randn(b, n, width)
    position, distances = torch.randn(b, k, width), torch.rand(b, k, n)
    got = module(queries, tokens, position, distances)

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (4, width // 4)).transpose(-2, -3)

    for row in range(b):
        for slice_ in range(k):
            moved = tokens[row] + position[row, slice_]
            bias = None
            if biased:
                assert module.log_slopes is not None
                bias = -module.log_slopes.exp()[:, None, None] * distances[row, slice_][None, None]
                bias = bias.expand(4, q, n)
            attended = F.scaled_dot_product_attention(
                heads(module.query(queries[row, slice_])), heads(module.key(moved)), heads(module.value(moved)), bias
            )
            expected = module.out(attended.transpose(0, 1).flatten(1))
            assert torch.allclose(got[row, slice_], expected, atol=1e-5)


def test_without_bias_cross_attention_is_torchs_multihead_attention() -> None:
    torch.manual_seed(4)
    module = CrossAttention(replace(SETTINGS, distance_bias=False))
    reference = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    projections = [module.query, module.key, module.value]
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([part.weight for part in projections]))
        reference.in_proj_bias.copy_(torch.cat([part.bias for part in projections]))
        reference.out_proj.weight.copy_(module.out.weight)
        reference.out_proj.bias.copy_(module.out.bias)
    queries, tokens, position = torch.randn(2, 1, 3, 16), torch.randn(2, 24, 16), torch.randn(2, 1, 16)
    moved = tokens + position
    expected, _ = reference(queries[:, 0], moved, moved)
    got = module(queries, tokens, position, torch.rand(2, 1, 24))
    assert torch.allclose(got[:, 0], expected, atol=1e-5)


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
