from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers

from med3dinsight.encoders import ENCODERS, create_encoder
from med3dinsight.encoders.encoder import TokenDropping
from med3dinsight.encoders.vit2d_adapted import Vit2dAdapted
from med3dinsight.errors import InputError

SIZES: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 16,
}


def vision(family: str) -> Any:
    """A small random model of transformers, its norms and biases not 1 and 0."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SIZES)
    model = getattr(transformers, f"{family}Model")(config).eval()
    for value in model.parameters():
        value.data += 0.05 * torch.randn_like(value)
    return model


def last_states(model: Any, image: torch.Tensor) -> torch.Tensor:
    """The 2D model's states of the patches, each normalised once."""
    states = model(image).last_hidden_state
    if model.config.model_type == "clip_vision_model":  # only its class token is normalised
        return F.layer_norm(states[:, 1:], states.shape[2:])
    return states[:, 1:] if model.config.model_type == "vit" else states


@pytest.mark.parametrize("family", ["ViT", "CLIPVision", "SiglipVision"])
def test_a_slice_is_read_as_the_2d_model_reads_it_when_patches_and_positions_are_its_own(family: str) -> None:
    model = vision(family)
    encoder = Vit2dAdapted(model, image_size=32, patch_size=16, in_channels=3).eval()
    embeddings = model.embeddings
    patches = embeddings.patch_embeddings.projection if family == "ViT" else embeddings.patch_embedding
    table = embeddings.position_embeddings[0] if family == "ViT" else embeddings.position_embedding.weight
    encoder.table_grid = (1, 2, 2)
    with torch.no_grad():
        encoder.patches.weight.zero_()
        encoder.patches.weight[:, :, 0] = patches.weight
        encoder.patches.bias.zero_() if patches.bias is None else encoder.patches.bias.copy_(patches.bias)
        encoder.positions = torch.nn.Parameter(table[-4:].unsqueeze(0).clone())
        if family != "SiglipVision":
            encoder.class_position.copy_(table[:1].unsqueeze(0))
        volume = torch.rand(2, 3, 16, 32, 32)
        expected = last_states(model, volume[:, :, 0])
        torch.testing.assert_close(encoder(volume).tokens, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["ViT", "CLIPVision", "SiglipVision"])
def test_the_2d_transformer_is_frozen_and_what_is_around_it_learns(family: str) -> None:
    encoder = Vit2dAdapted(vision(family), image_size=32)
    encoder.train()
    assert not any(part.training for part in encoder.frozen.modules())
    encoder(torch.rand(1, 1, 32, 32, 32)).tokens.square().sum().backward()
    learned = {key for key, value in encoder.named_parameters() if value.grad is not None and value.grad.any()}
    own = {"patches.weight", "patches.bias", "positions", "norm.weight", "norm.bias"}
    assert learned == own | ({"class_position"} if family != "SiglipVision" else set())
    assert learned == {key for key, value in encoder.named_parameters() if value.requires_grad}


@pytest.mark.parametrize("family", ["ViT", "CLIPVision", "SiglipVision"])
def test_weights_of_a_folder_are_taken(tmp_path: Path, family: str) -> None:
    model = vision(family)
    model.save_pretrained(tmp_path)
    encoder = Vit2dAdapted.from_folder(tmp_path, image_size=16)
    again = Vit2dAdapted(model, image_size=16)
    state = again.state_dict()
    same = {key for key, value in encoder.state_dict().items() if torch.equal(value, state[key])}
    assert {key for key in state if key.startswith("frozen.")} | {"norm.weight", "norm.bias"} <= same
    assert "class_token" in same or family == "SiglipVision"


def test_the_vision_part_of_a_whole_clip_is_taken(tmp_path: Path) -> None:
    text = {**SIZES, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    del text["image_size"], text["patch_size"]
    clip = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=SIZES))
    clip.save_pretrained(tmp_path)
    encoder = Vit2dAdapted.from_folder(tmp_path, image_size=16)
    taken = encoder.frozen["blocks"][1].mlp.fc1.weight
    assert torch.equal(taken, clip.vision_model.encoder.layers[1].mlp.fc1.weight)


def test_folders_that_hold_no_vision_transformer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no config\.json"):
        Vit2dAdapted.from_folder(tmp_path)
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="holds a bert, which is no vision transformer"):
        Vit2dAdapted.from_folder(tmp_path)
    transformers.ViTConfig(**SIZES).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="cannot be loaded"):
        Vit2dAdapted.from_folder(tmp_path)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    model = vision("ViT")
    state = {key: value for key, value in model.state_dict().items() if key != "layers.1.mlp.fc1.weight"}
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(InputError, match=r"lacks 1 tensors, such as layers\.1\.mlp\.fc1\.weight"):
        Vit2dAdapted.from_folder(tmp_path)


def test_any_size_of_its_patch_is_encoded_and_kept_tokens_are_those_of_all() -> None:
    torch.manual_seed(0)
    encoder = create_encoder("vit2d_adapted_tiny", image_size=16)
    assert isinstance(encoder, TokenDropping)
    volume = torch.rand(2, 1, 8, 24, 16)
    whole = encoder(volume)
    assert whole.grid == (1, 3, 2)
    assert [feature.shape[1:] for feature in whole.pyramid] == [(96, 1, 3, 2)] * 4
    kept = encoder(volume, keep=torch.tensor([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]]))
    torch.testing.assert_close(kept.tokens[0], whole.tokens[0])
    torch.testing.assert_close(kept.tokens[1], whole.tokens[1].flip(0))
    assert kept.pyramid == ()


def test_the_list_says_that_by_name_its_weights_are_random() -> None:
    assert "RANDOM frozen weights" in ENCODERS["vit2d_adapted"].source


def test_it_has_the_size_of_a_2d_vit_of_patches_of_16_up_to_what_is_around_it() -> None:
    blocks = 12 * (12 * 768**2 + 13 * 768)  # attention 4c² + 4c, feed-forward 8c² + 5c, two norms 4c
    around = 16**3 * 768 + 768 + 512 * 768 + 2 * 768 + 2 * 768
    assert ENCODERS["vit2d_adapted"].parameters == blocks + around
