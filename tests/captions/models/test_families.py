"""What is known of families of models."""

from __future__ import annotations

import pytest

from med3dinsight.captions.models.families import family_of, list_families
from med3dinsight.captions.prompts.prompt import load_prompt


@pytest.mark.parametrize(
    ("model_type", "name", "family"),
    [
        ("gemma3", "/models/MedGemma-4b-it", "medgemma"),
        ("gemma3", "gemma-3-4b-it", "gemma"),
        ("qwen2_5_vl", "HuatuoGPT-Vision-7B-Qwen2.5VL", "huatuogpt-vision"),
        ("qwen2_5_vl", "Qwen2.5-VL-7B-Instruct", "qwen-vl"),
        ("llava", "llava-med-v1.5-mistral-7b-hf", "llava-med"),
        ("llava", "tiny-llava", "llava"),
        ("gemma3", "llava-med-like", "gemma"),
        ("newest", "medgemma", "unknown"),
    ],
)
def test_a_model_is_known_by_its_type_and_name(model_type: str, name: str, family: str) -> None:
    assert family_of(model_type, name).name == family


def test_each_family_names_a_prompt_and_one_without_a_system_message_where_it_has_no_place() -> None:
    for family in list_families():
        prompt = load_prompt(family.prompt)
        assert family.system == "keep" or not prompt.system
        assert family.note
