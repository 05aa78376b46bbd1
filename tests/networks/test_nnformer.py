from __future__ import annotations

import pytest
import torch
from torch import nn

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.published.nnformer import from_published, to_published
from med3dinsight.encoders.window_attention import relative_position_index
from med3dinsight.errors import ConfigError
from med3dinsight.networks import create_network
from med3dinsight.networks.nnformer import NNFormerSegmenter, SkipBlock

Shapes = dict[str, tuple[int, ...]]


def block(prefix: str, dim: int, heads: int, window: int, projection: str) -> Shapes:
    """One block in a published file; ``projection`` is qkv or, for skip attention, kv."""
    tokens, wide = window**3, {"qkv": 3, "kv": 2}[projection] * dim
    inside = {
        "norm1.weight": (dim,),
        "norm1.bias": (dim,),
        "attn.relative_position_bias_table": ((2 * window - 1) ** 3, heads),
        "attn.relative_position_index": (tokens, tokens),
        f"attn.{projection}.weight": (wide, dim),
        f"attn.{projection}.bias": (wide,),
        "attn.proj.weight": (dim, dim),
        "attn.proj.bias": (dim,),
        "norm2.weight": (dim,),
        "norm2.bias": (dim,),
        "mlp.fc1.weight": (4 * dim, dim),
        "mlp.fc1.bias": (4 * dim,),
        "mlp.fc2.weight": (dim, 4 * dim),
        "mlp.fc2.bias": (dim,),
    }
    return {prefix + name: shape for name, shape in inside.items()}


def layer(name: str, weight: tuple[int, ...], outputs: int) -> Shapes:
    return {f"{name}.weight": weight, f"{name}.bias": (outputs,)}


def published_shapes(classes: int) -> Shapes:
    """A published file of the configuration for 128³, with deep supervision."""
    embed = "model_down.patch_embed."
    shapes: Shapes = {}
    for part, channels, dim in (("proj1", 1, 48), ("proj2", 48, 96)):
        shapes |= layer(f"{embed}{part}.conv1", (dim, channels, 3, 3, 3), dim)
        shapes |= layer(f"{embed}{part}.conv2", (dim, dim, 3, 3, 3), dim)
        shapes |= layer(f"{embed}{part}.norm1", (dim,), dim)
    shapes |= layer(embed + "proj1.norm2", (48,), 48) | layer(embed + "norm", (96,), 96)
    for level, (dim, window) in enumerate(zip((96, 192, 384, 768), (4, 4, 8, 4), strict=True)):
        down, up = f"model_down.layers.{level}.", f"decoder.layers.{level}."
        for number in range(2):
            shapes |= block(f"{down}blocks.{number}.", dim, 3 * 2**level, window, "qkv")
        shapes |= layer(f"model_down.norm{level}", (dim,), dim)
        if level == 3:
            continue
        shapes |= layer(down + "downsample.norm", (dim,), dim)
        shapes |= layer(down + "downsample.reduction", (2 * dim, dim, 3, 3, 3), 2 * dim)
        shapes |= block(f"{up}blocks.0.", dim, 6 * 2**level, window, "kv")
        shapes |= block(f"{up}blocks.1.", dim, 6 * 2**level, window, "qkv")
        shapes |= layer(up + "Upsample.norm", (2 * dim,), 2 * dim)
        shapes |= layer(up + "Upsample.up", (2 * dim, dim, 2, 2, 2), dim)
        shapes |= layer(f"final.{level}.up", (dim, classes, 4, 4, 4), classes)
    return shapes


def test_every_published_key_has_its_place_with_the_right_shape() -> None:
    with torch.device("meta"):
        network = NNFormerSegmenter(create_encoder("nnformer"), 6, deep_supervision=True)
        theirs = {name: torch.empty(shape) for name, shape in published_shapes(6).items()}
    ours = {name: value.shape for name, value in network.state_dict().items()}
    assert {name: value.shape for name, value in from_published(theirs).items()} == ours


def test_weights_go_to_the_published_names_and_back() -> None:
    network = create_network("nnformer_tiny", 3, image_size=32)
    state = network.state_dict()
    there = to_published(state)
    assert all(name.startswith(("model_down.", "decoder.", "final.")) for name in there)
    back = from_published(there)
    assert list(back) == list(state)
    assert all(torch.equal(back[name], value) for name, value in state.items())


def test_published_weights_bring_the_index_that_they_were_trained_with() -> None:
    torch.manual_seed(0)
    encoder = create_encoder("nnformer_tiny", image_size=32)
    trained = NNFormerSegmenter(encoder, 3)
    for module in trained.modules():
        if hasattr(module, "relative_position_index"):
            module.relative_position_index.copy_(relative_position_index((4, 4, 4), "reference"))
    network = create_network("nnformer_tiny", 3, image_size=32).eval()
    network.load_state_dict(from_published(to_published(trained.state_dict())))
    volume = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(volume), trained.eval()(volume))


def test_deep_supervision_gives_coarser_scores_in_training_only() -> None:
    network = NNFormerSegmenter(create_encoder("nnformer_tiny", image_size=32), 3, deep_supervision=True)
    volume = torch.rand(1, 1, 32, 32, 48)
    scores = network(volume)
    assert [tuple(each.shape) for each in scores] == [(1, 3, 32, 32, 48), (1, 3, 16, 16, 24), (1, 3, 8, 8, 12)]
    sum((each * torch.randn_like(each)).sum() for each in scores).backward()
    assert all(value.grad is not None and value.grad.any() for value in network.parameters())
    with torch.no_grad():
        assert network.eval()(volume).shape == (1, 3, 32, 32, 48)


def test_skip_attention_asks_with_the_upsampled_features_and_answers_with_the_skip() -> None:
    """Without feed-forward: the identity is their sum, and a uniform attention adds the mean of the skip's values."""
    torch.manual_seed(0)
    from med3dinsight.encoders.window_attention import WindowAttention

    layer = SkipBlock(4, WindowAttention(4, 2, (2, 2, 2), clipping="cube", cross=True), False)
    layer.mlp = nn.Identity()
    with torch.no_grad():
        layer.norm2.weight.zero_()
        layer.attn.relative_position_bias_table.zero_()
        layer.attn.proj.weight.copy_(torch.eye(4))
        layer.attn.proj.bias.zero_()
        layer.attn.kv.weight[:4].zero_()
        layer.attn.kv.weight[4:].copy_(torch.eye(4))
        layer.attn.kv.bias.zero_()
    up, skip = torch.randn(2, 2, 2, 2, 4).unbind()
    found = layer(up.unsqueeze(0), skip.unsqueeze(0))
    values = torch.nn.functional.layer_norm(skip, (4,)).mean((0, 1, 2))
    torch.testing.assert_close(found[0], up + skip + values)


def test_sizes_that_do_not_fit_are_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match="a cube of 24 voxels does not fit") as caught:
        create_network("nnformer_tiny", 2, image_size=24)
    assert caught.value.hint == "use a multiple of 16, such as 32"
    network = create_network("nnformer_tiny", 2, image_size=32)
    with pytest.raises(ConfigError, match="a volume of 32 x 40 x 32 voxels"):
        network(torch.rand(1, 1, 32, 40, 32))
