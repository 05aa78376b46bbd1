"""PSAT beside plain decoders made of torch's own parts with the same weights, one slice at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from med3dinsight.alignment import PSAT_PRESETS, PlaneSliceAwareTransformer, PSATSettings
from med3dinsight.alignment.decoder_layer import DecoderLayer
from med3dinsight.encoders.encoder import token_positions

GRID = (2, 3, 4)
SMALL = {"width": 16, "num_queries": 5, "num_heads": 4, "ffn_width": 24, "num_positions": 8}


def question(width: int, b: int = 2, k: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(2)
    return torch.randn(b, 24, width), token_positions(GRID), torch.randint(0, 3, (b, k)), torch.rand(b, k)


def attention_weights(layer: DecoderLayer) -> dict[str, Tensor]:
    cross = layer.cross_attention
    parts = (cross.query, cross.key, cross.value)
    return {
        "in_proj_weight": torch.cat([part.weight for part in parts]),
        "in_proj_bias": torch.cat([part.bias for part in parts]),
        "out_proj.weight": cross.out.weight,
        "out_proj.bias": cross.out.bias,
    }


def torchs_layer(layer: DecoderLayer, settings: PSATSettings) -> nn.TransformerDecoderLayer:
    reference = nn.TransformerDecoderLayer(
        settings.width,
        settings.num_heads,
        settings.ffn_width,
        settings.dropout,
        settings.activation,
        batch_first=True,
        norm_first=settings.norm == "pre",
    )
    state = {f"self_attn.{name}": value for name, value in layer.self_attention.state_dict().items()}
    state |= {f"multihead_attn.{name}": value for name, value in attention_weights(layer).items()}
    state |= {f"linear1.{name}": value for name, value in layer.mlp[0].state_dict().items()}
    state |= {f"linear2.{name}": value for name, value in layer.mlp[2].state_dict().items()}
    state |= {f"norm{k + 1}.{n}": value for k, norm in enumerate(layer.norms) for n, value in norm.state_dict().items()}
    reference.load_state_dict(state)
    return reference.eval()


def pooled(module: PlaneSliceAwareTransformer, outputs: Tensor) -> Tensor:
    if module.settings.pooling == "attention":
        return torch.softmax((outputs * module.score).sum(-1), 0) @ outputs
    return outputs[0] if module.settings.pooling == "first" else outputs.mean(0)


def assert_answers(module: PlaneSliceAwareTransformer, pooled_outputs: dict[tuple[int, int], Tensor]) -> None:
    image, text = module(*question(module.token_width))
    for (row, slice_), vector in pooled_outputs.items():
        shared = module.settings.project == "shared"
        for got, side in ((image, "to_image"), (text, "to_text")):
            expected = getattr(module, "to_both" if shared else side)(vector)
            assert torch.allclose(got[row, slice_], expected, atol=1e-5)


def psat(settings: PSATSettings, token_width: int = 10) -> PlaneSliceAwareTransformer:
    torch.manual_seed(1)
    module = PlaneSliceAwareTransformer(token_width, 6, 6, settings).eval()
    module.token_width = token_width  # type: ignore[assignment]
    for name, parameter in module.named_parameters():
        if name in ("position.table", "score"):
            nn.init.normal_(parameter)
    return module


CASES = {
    **{name: replace(preset, **SMALL, distance_bias=False) for name, preset in PSAT_PRESETS.items()},
    "pre-norm": PSATSettings(**SMALL, num_layers=2, norm="pre", distance_bias=False),
    "attention pooling": PSATSettings(**SMALL, num_layers=2, pooling="attention", distance_bias=False),
}


@pytest.mark.parametrize("token_width", [10, 16])
@pytest.mark.parametrize("name", CASES)
def test_it_is_torchs_decoder_with_the_position_added_once_to_queries_and_tokens(name: str, token_width: int) -> None:
    """In evaluation, so that dropout does nothing; ``insight`` without its distance bias, which torch lacks."""
    settings = CASES[name]
    module = psat(settings, token_width)
    tokens, _, planes, positions = question(token_width)
    assert isinstance(module.input, nn.Identity) == (settings.input_projection == "if_needed" and token_width == 16)
    layers = [torchs_layer(layer, settings) for layer in module.layers]
    found = {}
    for row in range(2):
        memory = module.input_norm(module.input(tokens[row]))
        for slice_ in range(4):
            position = module.position(planes, positions)[row, slice_]
            queries = (module.queries + position)[None]
            for reference in layers:
                queries = reference(queries, (memory + position)[None])
            if settings.norm == "pre":
                queries = module.output_norm(queries)
            found[row, slice_] = pooled(module, queries[0])
    assert_answers(module, found)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_in_every_layer_the_position_is_compared_and_not_carried_on(norm: str) -> None:
    settings = PSATSettings(**SMALL, num_layers=3, norm=norm, position_at="every_layer", distance_bias=False)  # type: ignore[arg-type]
    module = psat(settings)
    tokens, _, planes, positions = question(10)
    crosses = []
    for layer in module.layers:
        cross = nn.MultiheadAttention(16, 4, batch_first=True)
        cross.load_state_dict(attention_weights(layer))
        crosses.append(cross)
    found = {}
    for row in range(2):
        for slice_ in range(4):
            p = module.position(planes, positions)[row, slice_]
            memory = (module.input_norm(module.input(tokens[row])) + p)[None]
            x = module.queries[None]
            for layer, cross in zip(module.layers, crosses, strict=True):
                branches = (
                    lambda y, a=layer.self_attention, p=p: a(y + p, y + p, y)[0],
                    lambda y, a=cross, p=p, m=memory: a(y + p, m, m)[0],
                    layer.mlp,
                )
                for norm_, branch in zip(layer.norms, branches, strict=True):
                    x = x + branch(norm_(x)) if norm == "pre" else norm_(x + branch(x))
            found[row, slice_] = pooled(module, module.output_norm(x)[0])
    assert_answers(module, found)
    once = psat(replace(settings, position_at="input"))
    once.load_state_dict(module.state_dict())
    assert not torch.allclose(once(*question(10))[0], module(*question(10))[0], atol=1e-3)


@pytest.mark.parametrize("project", ["separate", "shared"])
def test_the_linear_module_is_a_projection_of_the_mean_token(project: str) -> None:
    module = psat(PSATSettings(**SMALL, module="linear", project=project))  # type: ignore[arg-type]
    tokens, *_ = question(10)
    assert_answers(module, {(row, k): tokens[row].mean(0) for row in range(2) for k in range(4)})
    assert {name.split(".")[0] for name, _ in module.named_parameters()} <= {"to_both", "to_image", "to_text"}


def test_queries_alone_are_the_whole_module_without_positions() -> None:
    plain = psat(PSATSettings(**SMALL, num_layers=2, module="queries"))
    whole = psat(PSATSettings(**SMALL, num_layers=2, distance_bias=False))
    state = plain.state_dict()
    assert set(whole.state_dict()) - set(state) == {"position.table"}
    whole.load_state_dict({**state, "position.table": torch.zeros(3, 8, 16)})
    for one, other in zip(plain(*question(10)), whole(*question(10)), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
        assert torch.equal(one, one[:, :1].expand_as(one)), "one answer a volume, to the last bit"
