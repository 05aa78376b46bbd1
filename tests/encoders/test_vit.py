from __future__ import annotations

import pytest
import torch
from monai.networks.nets import ViT

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.encoder import TokenDropping
from med3dinsight.encoders.patches import as_map, resize_table, take_tokens
from med3dinsight.encoders.taps import quarters
from med3dinsight.errors import ConfigError


def monais(size: int) -> ViT:
    return ViT(1, size, 8, 96, 384, 4, 4, classification=False).eval()


@pytest.mark.parametrize("size", [16, 32])
def test_it_is_monais_with_the_same_weights_and_fused_attention(size: int) -> None:
    torch.manual_seed(0)
    encoder, reference = create_encoder("vit_tiny", image_size=size).eval(), monais(size)
    missing, unknown = reference.load_state_dict(encoder.vit.state_dict(), strict=False)
    assert not unknown
    assert all("norm_cross_attn" in name for name in missing)
    volume = torch.rand(1, 1, size, size, size)
    with torch.no_grad():
        encoded = encoder(volume)
        tokens, states = reference(volume)
    torch.testing.assert_close(encoded.tokens, tokens, atol=1e-5, rtol=0)
    torch.testing.assert_close(encoded.pyramid[0].flatten(2).transpose(1, 2), states[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(encoded.pyramid[3].flatten(2).transpose(1, 2), tokens, atol=1e-5, rtol=0)


def test_at_another_size_it_is_monais_built_for_that_size_with_the_table_interpolated() -> None:
    torch.manual_seed(0)
    encoder, reference = create_encoder("vit_tiny", image_size=16).eval(), monais(32)
    state = encoder.vit.state_dict()
    table = state["patch_embedding.position_embeddings"].reshape(2, 2, 2, 96).permute(3, 0, 1, 2)[None]
    table = torch.nn.functional.interpolate(table, size=(4, 4, 4), mode="trilinear")
    state["patch_embedding.position_embeddings"] = table[0].permute(1, 2, 3, 0).reshape(1, 64, 96)
    reference.load_state_dict(state, strict=False)
    volume = torch.rand(2, 1, 32, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(encoder(volume).tokens, reference(volume)[0], atol=1e-5, rtol=0)


def test_a_position_table_on_its_own_grid_stays_bit_for_bit() -> None:
    table = torch.randn(1, 24, 5)
    assert torch.equal(resize_table(table, (2, 3, 4), (2, 3, 4)), table)


def test_a_position_table_that_grows_along_an_axis_still_grows_along_that_axis_elsewhere() -> None:
    places = torch.arange(4.0).reshape(1, 4, 1).expand(2, 4, 3).reshape(1, 24, 1)
    moved = resize_table(places, (2, 4, 3), (3, 8, 1)).reshape(3, 8)
    assert torch.allclose(moved, moved[:1])
    assert torch.allclose(moved[0], torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]))


@pytest.mark.parametrize(("name", "patch"), [("vit_tiny", 8), ("unetr_tiny", 16)])
def test_volumes_that_are_no_cubes_are_encoded(name: str, patch: int) -> None:
    encoder = create_encoder(name, image_size=32)
    encoded = encoder(torch.rand(1, 1, patch, 3 * patch, 2 * patch))
    assert encoded.grid == (1, 3, 2)
    assert encoded.tokens.shape == (1, 6, 96)
    assert encoder.widths == (96,) * 4
    assert [tuple(feature.shape) for feature in encoded.pyramid] == [(1, 96, 1, 3, 2)] * 4


def test_volumes_that_cannot_be_cut_are_refused_with_the_nearest_sizes() -> None:
    encoder = create_encoder("unetr_tiny", image_size=32)
    with pytest.raises(ConfigError, match="a volume of 32 x 32 x 20 voxels cannot be cut into patches of 16") as caught:
        encoder(torch.rand(1, 1, 32, 32, 20))
    assert "such as 32 x 32 x 16 or 32 x 32 x 32" in caught.value.hint


def test_taps_lie_at_the_quarters_of_the_depth_and_those_of_unetr_where_monai_taps() -> None:
    assert [quarters(depth) for depth in (4, 12, 24)] == [(1, 2, 3, 4), (3, 6, 9, 12), (6, 12, 18, 24)]
    assert create_encoder("unetr_tiny", image_size=16).taps == (4, 7, 10, 12)


def test_keeping_all_tokens_in_their_order_changes_nothing_and_the_grid_stays_whole() -> None:
    torch.manual_seed(0)
    encoder = create_encoder("vit_tiny", image_size=16)
    assert isinstance(encoder, TokenDropping)
    volume = torch.rand(2, 1, 16, 16, 16)
    whole = encoder(volume)
    kept = encoder(volume, keep=torch.arange(8).expand(2, 8))
    assert torch.equal(kept.tokens, whole.tokens)
    assert kept.grid == (2, 2, 2)
    assert kept.pyramid == ()


def test_tokens_that_are_not_kept_have_no_say() -> None:
    torch.manual_seed(0)
    encoder = create_encoder("vit_tiny", image_size=16)
    volume = torch.rand(2, 1, 16, 16, 16)
    keep = torch.tensor([[6, 1], [0, 7]])
    kept = encoder(volume, keep=keep)
    assert kept.tokens.shape == (2, 2, 96)
    changed = volume.clone()
    changed[0, :, :8, :8, :8] = 0  # token 0 of the first volume, which is not kept
    assert torch.equal(encoder(changed, keep=keep).tokens, kept.tokens)
    changed[0, :, :8, :8, 8:] = 0  # token 1, which is
    assert not torch.allclose(encoder(changed, keep=keep).tokens[0], kept.tokens[0])
    torch.testing.assert_close(encoder(volume, keep=keep.flip(1)).tokens, kept.tokens.flip(1))


def test_conv_encoders_cannot_drop_tokens() -> None:
    assert not isinstance(create_encoder("conv_tiny"), TokenDropping)


def test_tokens_are_taken_and_laid_out_in_c_order() -> None:
    tokens = torch.arange(24.0).reshape(1, 24, 1)
    assert as_map(tokens, (2, 3, 4))[0, 0, 1, 2, 3] == 23
    assert as_map(tokens, (2, 3, 4))[0, 0, 0, 1, 0] == 4
    assert take_tokens(tokens, torch.tensor([[5, 0]])).flatten().tolist() == [5, 0]


@pytest.mark.parametrize("name", ["vit_tiny", "unetr_tiny", "primus_tiny", "vit2d_adapted_tiny"])
def test_bf16_tokens_are_those_of_fp32_up_to_rounding(name: str) -> None:
    torch.manual_seed(0)
    encoder = create_encoder(name, image_size=32)
    volume = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        exact = encoder(volume).tokens
        with torch.autocast("cpu", torch.bfloat16):
            rounded = encoder(volume).tokens
    assert rounded.isfinite().all()
    assert torch.cosine_similarity(exact.flatten(), rounded.float().flatten(), dim=0) > 0.999
