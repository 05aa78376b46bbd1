"""Families of the presets load and answer where there is no torchvision."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from chat_bodies import png, question
from tiny_families import save_tiny_gemma, save_tiny_qwen

from med3dinsight.captions.models.local_vlm import LocalVLM
from med3dinsight.captions.models.vlm_processor import load_processor
from med3dinsight.captions.prompts.answer import answer_schema


@pytest.mark.parametrize(
    ("save", "name", "family"),
    [(save_tiny_qwen, "qwen", "qwen-vl"), (save_tiny_gemma, "medgemma", "medgemma")],
)
def test_a_family_answers_by_the_schema_and_the_picture(
    save: Callable[[Path], Path], name: str, family: str, tmp_path: Path
) -> None:
    vlm = LocalVLM(save(tmp_path / name), device="cpu")
    assert vlm.family.name == family
    # Random weights ramble: limits make them end.
    schema = answer_schema()
    schema["properties"]["anatomy"]["maxItems"] = 1
    for text in ("position", "appearance", "caption"):
        schema["properties"][text]["maxLength"] = 8
    body = {"type": "json_schema", "json_schema": {"schema": schema}}
    replies = [vlm.answer(question(png(seed), response_format=body)) for seed in (0, 1, 0)]
    for reply in replies:
        jsonschema.validate(json.loads(reply.content), schema)
    assert replies[0].content == replies[2].content
    # Beside few words, four tokens of a picture weigh enough in random attention.
    short = [[{"role": "user", "content": [*question(png(seed))["messages"][-1]["content"][1:]]}] for seed in (0, 1)]
    free = [vlm.answer({"messages": messages, "max_tokens": 40, "temperature": 1.0}) for messages in short]
    assert free[0].content != free[1].content


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="videos can be processed here")
def test_a_processor_of_videos_does_without_them(tmp_path: Path) -> None:
    processor = load_processor(str(save_tiny_qwen(tmp_path / "qwen")), hub=False)
    assert processor.video_processor is None
    assert processor.chat_template


def test_a_folder_without_a_processor_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((OSError, ValueError)):
        load_processor(str(tmp_path), hub=False)
