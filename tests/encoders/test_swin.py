from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from monai.networks.nets.swin_unetr import SwinTransformer
from torch import Tensor, nn

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.published.swin import from_published, twin_excess
from med3dinsight.encoders.swin import PatchMerging, SwinEncoder
from med3dinsight.encoders.window_attention import relative_position_index
from med3dinsight.errors import ConfigError

SIZES = {
    "whole windows": (1, 28, 28, 28),
    "batch, padded windows": (2, 32, 32, 32),
    "one axis shorter than a window": (1, 8, 32, 34),
    "odd sizes, padded patches": (1, 17, 30, 23),
}


def twins(
    width: int = 12, heads: tuple[int, ...] = (1, 2, 3, 4), patch: int = 2
) -> tuple[SwinEncoder, SwinTransformer]:
    """Ours and MONAI's with the same weights, none of which is zero."""
    torch.manual_seed(0)
    depths = (2, 2, 2, 2)
    ours = SwinEncoder(1, width, depths, heads, patch_size=patch)
    peer = SwinTransformer(1, width, (7,) * 3, (patch,) * 3, depths, heads, spatial_dims=3)
    with torch.no_grad():
        for name, value in peer.named_parameters():
            if name.endswith("bias_table"):
                value.normal_()
            elif name.endswith("bias"):
                value.normal_(0, 0.3)
    ours.load_state_dict(peer.state_dict(), strict=True)
    return ours, peer


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_maps_and_gradients_are_monais(size: tuple[int, int, int, int]) -> None:
    ours, peer = twins()
    batch, *edges = size
    volume = torch.rand(batch, 1, *edges)
    found, expected = ours(volume).pyramid, peer(volume)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    directions = [torch.randn_like(each) for each in expected]
    for maps in (found, expected):
        sum((each * direction).sum() for each, direction in zip(maps, directions, strict=True)).backward()
    theirs = dict(peer.named_parameters())
    for name, value in ours.named_parameters():
        wanted = theirs[name].grad
        assert (value.grad - wanted).abs().max() <= 1e-4 * wanted.abs().max(), name


@pytest.mark.parametrize(
    ("name", "width", "patch", "depths"), [("swin_vit", 96, 4, (2, 2, 6, 2)), ("swin_unetr", 48, 2, (2, 2, 2, 2))]
)
def test_the_full_sizes_have_monais_keys_and_shapes(name: str, width: int, patch: int, depths: tuple[int, ...]) -> None:
    with torch.device("meta"):
        ours = create_encoder(name)
    peer = SwinTransformer(1, width, (7,) * 3, (patch,) * 3, depths, (3, 6, 12, 24), spatial_dims=3)
    theirs = {key: value.shape for key, value in peer.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == theirs


def test_tokens_are_the_chosen_map_in_c_order() -> None:
    encoder = create_encoder("swin_unetr_tiny")
    for token_map, width in enumerate(encoder.widths):
        chosen = SwinEncoder(1, 8, (2, 2, 2, 2), (1, 2, 4, 8), patch_size=2, window=4, token_map=token_map)
        encoded = chosen(torch.rand(1, 1, 32, 48, 64))
        assert encoded.tokens.shape[2] == width == chosen.embed_dim
        assert torch.equal(encoded.tokens.transpose(1, 2).unflatten(2, encoded.grid), encoded.pyramid[token_map])


def test_parameters_behind_the_tokens_are_named() -> None:
    encoder = SwinEncoder(1, 12, (1, 1, 1), (1, 1, 1), patch_size=2, window=4, token_map=1)
    tokens = encoder(torch.rand(1, 1, 16, 16, 16)).tokens
    (tokens * torch.randn_like(tokens)).sum().backward()
    without = {name for name, value in encoder.named_parameters() if value.grad is None}
    assert without == {name for name, _ in encoder.named_parameters() if name.startswith(encoder.unread_by_tokens)}
    assert encoder.unread_by_tokens == ("layers2.", "layers3.")
    with torch.device("meta"):
        assert create_encoder("swin_vit").unread_by_tokens == ("layers4.",)
        assert create_encoder("swin_unetr").unread_by_tokens == ()


def test_merging_before_1_5_reads_two_neighbours_twice_and_two_never() -> None:
    """The weights of one kind are found out with a merging that only copies: which corner lands where."""
    volume = torch.arange(8.0).view(1, 2, 2, 2, 1)
    corners = {}
    for merging in ("mended", "before_1_5"):
        layer = PatchMerging(1, merging)
        layer.norm, layer.reduction = nn.Identity(), nn.Identity()
        corners[merging] = layer(volume).flatten().int().tolist()
    # A corner's number is 4x + 2y + z.
    assert corners["mended"] == [0, 4, 2, 1, 6, 5, 3, 7]
    assert corners["before_1_5"] == [0, 4, 2, 1, 5, 2, 1, 7]


def test_published_keys_lose_their_prefixes_and_old_names() -> None:
    encoder = create_encoder("swin_vit_tiny")
    state = encoder.state_dict()
    old = {f"module.{key.replace('mlp.linear', 'mlp.fc')}": value for key, value in state.items()}
    whole = {f"swinViT.{key}": value for key, value in state.items()}
    whole |= {"encoder1.layer.conv1.conv.weight": torch.zeros(1), "out.conv.conv.bias": torch.zeros(1)}
    for published in (state, old, whole):
        encoder.load_state_dict(from_published(published), strict=True)


@pytest.mark.parametrize("merging", ["mended", "before_1_5"])
def test_what_training_adds_to_places_that_saw_the_same_neighbour_is_alike(merging: str) -> None:
    torch.manual_seed(0)
    layer = PatchMerging(6, merging)
    merged = layer(torch.randn(1, 6, 6, 6, 6))
    (merged * torch.randn_like(merged)).sum().backward()

    def excess(weight: Tensor) -> float:
        prefix = "layers1.0.downsample."
        return twin_excess({f"{prefix}norm.weight": layer.norm.weight.data, f"{prefix}reduction.weight": weight})

    begun, added = layer.reduction.weight.data, layer.reduction.weight.grad
    assert excess(begun) < 0.1
    assert excess(added) > 0.5 if merging == "before_1_5" else excess(added) < 0.1
    assert twin_excess({"patch_embed.proj.weight": torch.zeros(1)}) is None


def test_an_unknown_merging_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="no way of merging called before_15") as caught:
        SwinEncoder(merging="before_15")
    assert caught.value.hint == "did you mean before_1_5?"


def test_an_index_of_relative_positions_has_a_row_for_each_difference() -> None:
    index = relative_position_index((2, 3, 4))
    places = torch.stack(torch.meshgrid(*(torch.arange(n) for n in (2, 3, 4)), indexing="ij"), -1).reshape(-1, 3)
    difference = {}
    for i, one in enumerate(places.tolist()):
        for j, other in enumerate(places.tolist()):
            key = tuple(a - b for a, b in zip(one, other, strict=True))
            assert difference.setdefault(key, int(index[i, j])) == int(index[i, j])
    assert sorted(difference.values()) == list(range(3 * 5 * 7))


def test_the_reference_index_uses_115_of_343_rows() -> None:
    assert relative_position_index((4, 4, 4), "reference").unique().numel() == 115
    assert relative_position_index((4, 4, 4)).unique().numel() == 343


def test_an_inference_mode_before_training_leaves_nothing_that_cannot_train() -> None:
    encoder = create_encoder("swin_vit_tiny", image_size=48)
    volume = torch.rand(1, 1, 48, 48, 48)
    with torch.inference_mode():
        seen: Tensor = encoder(volume).tokens
    tokens = encoder(volume).tokens
    F.mse_loss(tokens, torch.randn_like(tokens)).backward()
    torch.testing.assert_close(seen.clone(), tokens.detach())
