"""Golden numbers: a preset that answers otherwise is another preset, and weights made with it are worth nothing."""

from __future__ import annotations

import subprocess
import sys
import zlib

import pytest
import torch
from torch import nn

from med3dinsight.alignment import PSAT_PRESETS, PlaneSliceAwareTransformer, PSATSettings
from med3dinsight.encoders.encoder import token_positions

#: Width of nnFormer's tokens and of CLIP's features, as in the extended version.
TOKENS, FEATURES = 768, 512


def fill(module: nn.Module) -> None:
    """Sets every weight to a hash of its name and index: the same on every machine and whatever torch draws."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            h = (torch.arange(parameter.numel(), dtype=torch.int64) * 2654435761 + zlib.crc32(name.encode())) % 2**32
            h = (h ^ (h >> 16)) * 0x45D9F3B % 2**32
            noise = ((h ^ (h >> 16)).double() / 2**31 - 1).reshape(parameter.shape) / parameter.shape[-1] ** 0.5
            parameter.copy_(noise + (1 if "norm" in name and name.endswith("weight") else 0))


def count(settings: PSATSettings) -> int:
    """Parameters by hand, for the choices that the presets make."""
    c, f, q = settings.width, settings.ffn_width, settings.num_queries
    linear = c * c + c
    layer = 8 * linear + (2 * c * f + f + c) + 3 * 2 * c + settings.num_heads * settings.distance_bias
    projected = settings.input_projection == "always" or c != TOKENS
    inputs = projected * (TOKENS * c + c) + settings.input_norm * 2 * c
    sides = 1 if settings.project == "shared" else 2
    return inputs + q * c + 3 * settings.num_positions * c + settings.num_layers * layer + sides * (c + 1) * FEATURES


GOLDEN = {
    # name: parameters, three numbers of the first image vector, of the second text vector, spread of all
    "insight": (548612, (-0.23200, 0.10837, -0.03493), (-0.74503, 0.35798, -0.30448), 0.47978),
    "paper": (5210624, (0.06251, -0.07372, -0.21472), (0.07969, -0.34402, -0.40232), 0.49548),
    "extended": (57629696, (0.76456, 0.34260, 0.17170), (0.48700, -0.10921, -0.13045), 0.53243),
    "extended-code": (29373488, (0.40250, 0.43427, -0.06372), (0.32591, 0.14491, -0.26767), 0.60574),
}


def test_every_preset_has_golden_numbers() -> None:
    assert set(GOLDEN) == set(PSAT_PRESETS)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_preset_has_its_parameters_and_gives_its_golden_numbers(name: str) -> None:
    """Those of ``insight`` were computed before the choices became settings."""
    with torch.device("meta"):
        module = PlaneSliceAwareTransformer(TOKENS, FEATURES, FEATURES, PSAT_PRESETS[name])
    fill(module.to_empty(device="cpu"))
    module.eval()
    parameters, first, second, spread = GOLDEN[name]
    assert sum(p.numel() for p in module.parameters()) == parameters == count(PSAT_PRESETS[name])
    tokens = torch.sin(torch.arange(8.0 * TOKENS)).reshape(1, 8, TOKENS)
    planes, positions = torch.tensor([[1, 2]]), torch.tensor([[0.3, 0.8]])
    with torch.inference_mode():
        image, text = module(tokens, token_positions((2, 2, 2)), planes, positions)
    assert image.shape == text.shape == (1, 2, FEATURES)
    assert image[0, 0, :3].tolist() == pytest.approx(first, abs=1e-4)
    assert text[0, 1, :3].tolist() == pytest.approx(second, abs=1e-4)
    assert float(image.std()) == pytest.approx(spread, abs=1e-4)


def test_the_presets_are_what_their_sources_say() -> None:
    paper, extended, code = (PSAT_PRESETS[name] for name in ("paper", "extended", "extended-code"))
    assert (paper.num_queries, paper.width, paper.num_layers) == (300, 512, 1)
    assert (code.width, code.num_layers, code.num_heads, code.ffn_width, code.dropout) == (768, 6, 8, 8, 0.1)
    assert (code.num_positions, code.position_init, code.pooling, code.norm) == (128, "normal", "first", "post")
    assert (extended.width, extended.ffn_width, extended.num_layers) == (768, 4 * 768, 6)
    for settings in (paper, extended, code):
        assert (settings.positions, settings.position_at, settings.project) == ("table", "input", "shared")
        assert settings.module == "plane_slice"
        assert not settings.distance_bias
    assert paper.position_init == extended.position_init == "zero"
    assert PSAT_PRESETS["insight"] == PSATSettings()


def test_weights_of_the_default_have_the_names_they_always_had() -> None:
    attention = ("self_attention.in_proj_weight", "self_attention.in_proj_bias")
    attention += ("self_attention.out_proj.weight", "self_attention.out_proj.bias", "cross_attention.log_slopes")
    pairs = [f"cross_attention.{name}" for name in ("query", "key", "value", "out")]
    pairs += ["mlp.0", "mlp.2", "norms.0", "norms.1", "norms.2"]
    layer = [f"layers.0.{name}" for name in attention]
    layer += [f"layers.0.{name}.{part}" for name in pairs for part in ("weight", "bias")]
    outside = [
        f"{name}.{part}" for name in ("input", "input_norm", "to_image", "to_text") for part in ("weight", "bias")
    ]
    module = PlaneSliceAwareTransformer(8, 4, 4, PSATSettings(width=16, num_positions=4))
    assert sorted(module.state_dict()) == sorted([*layer, *outside, "queries", "position.table"])


def test_presets_and_settings_come_up_without_torch() -> None:
    code = "import sys; from med3dinsight.alignment import PSAT_PRESETS; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
