from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from med3dinsight.encoders import ENCODERS, create_encoder
from med3dinsight.encoders.encoder import TokenDropping
from med3dinsight.encoders.primus import PrimusEncoder
from med3dinsight.encoders.published.primus import from_published, to_published
from med3dinsight.errors import ConfigError
from med3dinsight.networks import NETWORKS, create_network

#: What a published file of Primus-M holds in each of its 16 blocks.
BLOCK = {
    "gamma_1": (864,),
    "gamma_2": (864,),
    "norm1.weight": (864,),
    "norm1.bias": (864,),
    "attn.q_proj.weight": (864, 864),
    "attn.q_proj.bias": (864,),
    "attn.k_proj.weight": (864, 864),
    "attn.v_proj.weight": (864, 864),
    "attn.v_proj.bias": (864,),
    "attn.norm.weight": (864,),
    "attn.norm.bias": (864,),
    "attn.proj.weight": (864, 864),
    "attn.proj.bias": (864,),
    "norm2.weight": (864,),
    "norm2.bias": (864,),
    "mlp.fc1_g.weight": (2304, 864),
    "mlp.fc1_g.bias": (2304,),
    "mlp.fc1_x.weight": (2304, 864),
    "mlp.fc1_x.bias": (2304,),
    "mlp.norm.weight": (2304,),
    "mlp.norm.bias": (2304,),
    "mlp.fc2.weight": (864, 2304),
    "mlp.fc2.bias": (864,),
}
#: And outside of them, for 6 classes at 128³.
REST = {
    "mask_token": (1, 1, 864),
    "down_projection.proj.weight": (864, 1, 8, 8, 8),
    "down_projection.proj.bias": (864,),
    "eva.pos_embed": (1, 4096, 864),
    "eva.norm.weight": (864,),
    "eva.norm.bias": (864,),
    "up_projection.decode.0.0.weight": (864, 208, 2, 2, 2),
    "up_projection.decode.0.0.bias": (208,),
    "up_projection.decode.0.1.weight": (208,),
    "up_projection.decode.0.1.bias": (208,),
    "up_projection.decode.1.0.weight": (208, 48, 2, 2, 2),
    "up_projection.decode.1.0.bias": (48,),
    "up_projection.decode.1.1.weight": (48,),
    "up_projection.decode.1.1.bias": (48,),
    "up_projection.decode.2.weight": (48, 6, 2, 2, 2),
    "up_projection.decode.2.bias": (6,),
}
PUBLISHED = REST | {f"eva.blocks.{number}.{key}": shape for number in range(16) for key, shape in BLOCK.items()}


def test_the_full_size_is_the_published_one() -> None:
    assert NETWORKS["segmentation"]["primus_m"].parameters == pytest.approx(149.1e6, rel=1e-3)
    values = sum(math.prod(shape) for shape in PUBLISHED.values()) - math.prod(PUBLISHED["mask_token"])
    assert NETWORKS["segmentation"]["primus_m"].parameters == values
    assert ENCODERS["primus_m"].tokens == "4096 x 864"


def test_its_weights_have_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        state = create_network("primus_m", 6).state_dict()
        assert {key: tuple(value.shape) for key, value in to_published(state).items()} == PUBLISHED
        published = {key: torch.empty(shape) for key, shape in PUBLISHED.items()}
    assert {key: value.shape for key, value in from_published(published).items()} == {
        key: value.shape for key, value in state.items()
    }


def test_published_weights_come_back_bit_for_bit() -> None:
    state = create_network("primus_tiny", 3, image_size=16).state_dict()
    back = from_published(to_published(state))
    assert set(back) == set(state)
    assert all(torch.equal(back[key], value) for key, value in state.items())


def published_forward(state: dict[str, torch.Tensor], volume: torch.Tensor, heads: int) -> torch.Tensor:
    """Primus as published, written out plainly on its own names: whole attention matrices, rotations as matrices."""
    embedded = F.conv3d(volume, state["down_projection.proj.weight"], state["down_projection.proj.bias"], stride=8)
    grid = embedded.shape[2:]
    tokens = embedded.flatten(2)[0].T + state["eva.pos_embed"][0]
    width = tokens.shape[1]
    size, bands = width // heads, width // heads // 6
    rotations = []
    for token in range(len(tokens)):
        place = (token // (grid[1] * grid[2]), token // grid[2] % grid[1], token % grid[2])
        turns = [place[axis] / 10000 ** (band / bands) for axis in range(3) for band in range(bands)]
        pairs = [
            torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]], dtype=torch.float64) for a in turns
        ]
        rotations.append(torch.block_diag(*pairs))
    for number in range(sum(key.endswith("gamma_1") for key in state)):
        block = {k.split(".", 3)[3]: v for k, v in state.items() if k.startswith(f"eva.blocks.{number}.")}

        def norm(values: torch.Tensor, name: str, block: dict[str, torch.Tensor] = block) -> torch.Tensor:
            return F.layer_norm(values, values.shape[-1:], block[f"{name}.weight"], block[f"{name}.bias"])

        def linear(values: torch.Tensor, name: str, block: dict[str, torch.Tensor] = block) -> torch.Tensor:
            return values @ block[f"{name}.weight"].T + block.get(f"{name}.bias", torch.zeros(1))

        inner = norm(tokens, "norm1")
        mixed = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            query = [turn @ row for turn, row in zip(rotations, linear(inner, "attn.q_proj")[:, part], strict=True)]
            key = [turn @ row for turn, row in zip(rotations, linear(inner, "attn.k_proj")[:, part], strict=True)]
            weights = (torch.stack(query) @ torch.stack(key).T / math.sqrt(size)).softmax(1)
            mixed.append(weights @ linear(inner, "attn.v_proj")[:, part])
        tokens = tokens + block["gamma_1"] * linear(norm(torch.cat(mixed, 1), "attn.norm"), "attn.proj")
        inner = norm(tokens, "norm2")
        gate = linear(inner, "mlp.fc1_g")
        gated = gate * gate.sigmoid() * linear(inner, "mlp.fc1_x")
        tokens = tokens + block["gamma_2"] * linear(norm(gated, "mlp.norm"), "mlp.fc2")
    tokens = F.layer_norm(tokens, (width,), state["eva.norm.weight"], state["eva.norm.bias"])
    features = tokens.T.reshape(1, width, *grid)
    for stage in (0, 1):
        name = f"up_projection.decode.{stage}"
        features = F.conv_transpose3d(features, state[f"{name}.0.weight"], state[f"{name}.0.bias"], stride=2)
        moved = features.movedim(1, -1)
        moved = F.layer_norm(moved, moved.shape[-1:], state[f"{name}.1.weight"], state[f"{name}.1.bias"], 1e-6)
        features = F.gelu(moved).movedim(-1, 1)
    return F.conv_transpose3d(
        features, state["up_projection.decode.2.weight"], state["up_projection.decode.2.bias"], stride=2
    )


def test_scores_are_those_of_the_published_equations() -> None:
    torch.manual_seed(0)
    network = create_network("primus_tiny", 3, image_size=16).double().eval()
    for value in network.parameters():  # norms and biases that are not 1 and 0
        value.data += 0.1 * torch.randn_like(value)
    volume = torch.rand(1, 1, 16, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        scores = network(volume)
        torch.testing.assert_close(scores, published_forward(to_published(network.state_dict()), volume, 4))


def test_any_size_of_its_patch_is_encoded_and_others_are_refused() -> None:
    encoder = create_encoder("primus_tiny", image_size=32)
    encoded = encoder(torch.rand(1, 1, 8, 24, 16))
    assert encoded.grid == (1, 3, 2)
    assert [feature.shape[1:] for feature in encoded.pyramid] == [(96, 1, 3, 2)] * 4
    with pytest.raises(ConfigError, match="8 x 24 x 20 voxels cannot be cut into patches of 8"):
        encoder(torch.rand(1, 1, 8, 24, 20))


def test_keeping_all_tokens_changes_nothing_and_kept_tokens_keep_their_places() -> None:
    torch.manual_seed(0)
    encoder = create_encoder("primus_tiny", image_size=16).eval()
    assert isinstance(encoder, TokenDropping)
    volume = torch.rand(2, 1, 16, 16, 16)
    whole = encoder(volume)
    kept = encoder(volume, keep=torch.arange(8).expand(2, 8))
    torch.testing.assert_close(kept.tokens, whole.tokens)
    assert kept.grid == (2, 2, 2)
    assert kept.pyramid == ()
    order = torch.tensor([[5, 2, 7, 0, 1, 3, 6, 4], [0, 1, 2, 3, 4, 5, 7, 6]])
    shuffled = encoder(volume, keep=order).tokens
    torch.testing.assert_close(shuffled, whole.tokens.gather(1, order.unsqueeze(2).expand(-1, -1, 96)))


def test_branches_are_dropped_in_training_alone_and_more_in_deeper_blocks() -> None:
    torch.manual_seed(0)
    encoder = PrimusEncoder(16, width=24, depth=3, heads=1, drop_path=0.9)
    assert [block.drop_path.rate for block in encoder.blocks] == [0, 0.45, 0.9]
    volume = torch.rand(1, 1, 16, 16, 16)
    assert not torch.equal(encoder(volume).tokens, encoder(volume).tokens)
    encoder.eval()
    assert torch.equal(encoder(volume).tokens, encoder(volume).tokens)


def test_heads_that_cannot_be_turned_in_three_axes_are_refused() -> None:
    with pytest.raises(ConfigError, match="4 heads cannot share a width of 64") as caught:
        PrimusEncoder(16, width=64, heads=4)
    assert caught.value.hint == "use a multiple of 24"
