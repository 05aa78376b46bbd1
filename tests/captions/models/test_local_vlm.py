"""A real, tiny vision-language model loaded from a folder, offline, and held to the schema."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from chat_bodies import png, question
from safetensors.torch import load_file, save_file
from tiny_vlm import save_tiny_vlm

from med3dinsight.captions.asking.chat import RefusedError
from med3dinsight.captions.models.held_to_schema import bounded
from med3dinsight.captions.models.local_vlm import LocalVLM
from med3dinsight.captions.prompts.answer import answer_schema, parse_answer
from med3dinsight.errors import ConfigError, FatalError


@pytest.fixture(scope="module")
def vlm(vlm_folder: Path) -> LocalVLM:
    return LocalVLM(vlm_folder, device="cpu")


def test_every_answer_follows_the_schema_and_can_be_read(vlm: LocalVLM) -> None:
    for seed in range(4):
        reply = vlm.answer(question(png(seed)))
        jsonschema.validate(json.loads(reply.content), answer_schema())
        assert parse_answer(reply.content).text
        assert reply.finish_reason == "stop" and reply.model == "tiny-llava"
        assert reply.prompt_tokens and reply.completion_tokens and reply.completion_tokens <= 400


def test_the_picture_decides_and_the_same_one_gets_the_same_answer(vlm: LocalVLM) -> None:
    first, again, other = (vlm.answer(question(png(seed))).content for seed in (0, 0, 1))
    assert first == again != other


def test_a_temperature_draws_by_seed_and_leaves_other_random_numbers_alone(vlm: LocalVLM) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    draws = [vlm.answer(question(png(), temperature=1.0, seed=seed, max_tokens=60)).content for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(3), expected)
    assert draws[0] == draws[1] != draws[2]


def test_an_answer_that_is_cut_says_so(vlm: LocalVLM) -> None:
    reply = vlm.answer(question(png(), max_tokens=8))
    assert (reply.finish_reason, reply.completion_tokens) == ("length", 8)


def test_without_a_schema_the_model_says_what_it_likes(vlm: LocalVLM) -> None:
    reply = vlm.answer(question(png(), response_format=None, max_tokens=12))
    assert not reply.content.startswith("{")


def test_it_is_asked_concurrently_as_an_endpoint_is(vlm: LocalVLM) -> None:
    async def ask() -> list[Any]:
        return await asyncio.gather(*(vlm.complete(question(png(seed), max_tokens=8)) for seed in (0, 1, 0)))

    replies = asyncio.run(ask())
    assert replies[0] == replies[2]


def test_a_picture_that_cannot_be_decoded_is_refused(vlm: LocalVLM) -> None:
    with pytest.raises(RefusedError):
        vlm.answer(question(b"no picture"))


@pytest.mark.parametrize("name", ["", "no-such-owner/no-such-model", "./nowhere"])
def test_no_name_is_looked_up_unless_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.socket.connect", no_network)
    with pytest.raises(FatalError, match=r"no folder|no model is named"):
        LocalVLM(name)


def test_an_unknown_device_is_told(vlm_folder: Path) -> None:
    with pytest.raises(ConfigError, match="no device called tpu"):
        LocalVLM(vlm_folder, device="tpu")


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="cannot be loaded") as caught:
        LocalVLM(tmp_path)
    assert "\n" not in str(caught.value)


def broken(vlm_folder: Path, folder: Path, without: str) -> Path:
    shutil.copytree(vlm_folder, folder)
    (folder / without).unlink()
    return folder


def test_a_model_without_its_chat_template_or_weights_is_told(vlm_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="no chat template"):
        LocalVLM(broken(vlm_folder, tmp_path / "a", "chat_template.jinja"))
    folder = broken(vlm_folder, tmp_path / "b", "model.safetensors")
    torch.save({}, folder / "pytorch_model.bin")  # pickles are not read
    with pytest.raises(FatalError, match="cannot be loaded"):
        LocalVLM(folder)
    with pytest.raises(FatalError, match="cannot be loaded"):
        cut = broken(vlm_folder, tmp_path / "c", "generation_config.json")
        weights = (cut / "model.safetensors").read_bytes()
        (cut / "model.safetensors").write_bytes(weights[: len(weights) // 2])
        LocalVLM(cut)


def test_weights_that_are_missing_are_never_left_random(vlm_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "part"
    shutil.copytree(vlm_folder, folder)
    weights = load_file(folder / "model.safetensors")
    dropped = min(weights)
    save_file({name: weight for name, weight in weights.items() if name != dropped}, folder / "model.safetensors")
    with pytest.raises(FatalError, match="lacks 1 weights"):
        LocalVLM(folder)


def test_a_model_of_language_alone_is_told(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=8, n_layer=1, n_head=1)).save_pretrained(tmp_path)
    with pytest.raises(FatalError, match=r"cannot be loaded|does not read pictures"):
        LocalVLM(tmp_path)


def test_another_seed_is_another_model(vlm: LocalVLM, tmp_path: Path) -> None:
    other = LocalVLM(save_tiny_vlm(tmp_path / "other", seed=3), device="cpu")
    assert other.answer(question(png())).content != vlm.answer(question(png())).content


def test_every_string_and_list_of_a_bounded_schema_ends() -> None:
    limits = bounded(answer_schema())["properties"]
    assert [limits[name].get("maxLength") for name in limits] == [None, None, 160, None, 160, 560]
    assert limits["anatomy"]["maxItems"] == 12 and limits["anatomy"]["items"]["maxLength"] == 48
    assert "maxLength" not in json.dumps(answer_schema())
