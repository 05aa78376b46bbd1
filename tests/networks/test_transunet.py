"""TransUNet: the transformer between encoder and decoder."""

from __future__ import annotations

import torch
from torch import nn

from med3dinsight.networks import create_network
from med3dinsight.networks.transunet import MapTransformer


def test_the_transformer_is_torchs_with_the_same_weights() -> None:
    torch.manual_seed(0)
    ours = MapTransformer(channels=12, grid=2, hidden_size=24, num_layers=2, num_heads=3).eval()
    features = torch.rand(2, 12, 2, 2, 2)
    tokens = features.flatten(2).transpose(1, 2) @ ours.embed.weight.T + ours.embed.bias + ours.positions
    for block in ours.blocks:
        layer = nn.TransformerEncoderLayer(24, 3, 96, 0.0, "gelu", batch_first=True, norm_first=True).eval()
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": block.attn.qkv.weight,
                "self_attn.in_proj_bias": block.attn.qkv.bias,
                "self_attn.out_proj.weight": block.attn.out_proj.weight,
                "self_attn.out_proj.bias": block.attn.out_proj.bias,
                "linear1.weight": block.mlp.linear1.weight,
                "linear1.bias": block.mlp.linear1.bias,
                "linear2.weight": block.mlp.linear2.weight,
                "linear2.bias": block.mlp.linear2.bias,
                **{
                    f"norm{n}.{part}": getattr(block, f"norm{n}").state_dict()[part]
                    for n in (1, 2)
                    for part in ("weight", "bias")
                },
            }
        )
        with torch.no_grad():
            tokens = layer(tokens)
    with torch.no_grad():
        expected = ours.back(nn.functional.layer_norm(tokens, (24,), ours.norm.weight, ours.norm.bias))
        torch.testing.assert_close(ours(features).flatten(2).transpose(1, 2), expected)


def test_without_its_transformer_it_is_nnunet() -> None:
    torch.manual_seed(0)
    network = create_network("transunet_tiny", 2, image_size=16).eval()
    plain = create_network("nnunet_tiny", 2, image_size=16).eval()
    plain.load_state_dict({key: value for key, value in network.state_dict().items() if "between." not in key})
    volume = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        assert not torch.allclose(network(volume), plain(volume))
        network.between = nn.Identity()
        assert torch.equal(network(volume), plain(volume))


def test_one_corner_of_the_last_map_reaches_every_other() -> None:
    """The convolutions of the small network cannot see from one end of a long volume to the other."""
    torch.manual_seed(0)
    network = create_network("transunet_tiny", 2, image_size=16).eval()
    features = torch.rand(1, 64, 2, 2, 8, requires_grad=True)
    network.between(features)[..., -1, -1, -1].square().sum().backward()
    assert features.grad[0, :, 0, 0, 0].abs().sum() > 0


def test_other_sizes_interpolate_the_position_table() -> None:
    torch.manual_seed(0)
    network = create_network("transunet_tiny", 2, image_size=16)
    assert network.between.positions.shape == (1, 8, 96)
    assert network(torch.rand(1, 1, 24, 16, 32)).shape == (1, 2, 24, 16, 32)
