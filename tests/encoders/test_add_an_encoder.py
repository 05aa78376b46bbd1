"""The code of docs/how-to/add-an-encoder.md runs and does what the text says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from med3dinsight.encoders.plugins import GROUP
from med3dinsight.encoders.vit2d_adapted import random_vision

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "add-an-encoder.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "made"}
    for block in blocks("python"):
        exec(compile(block, "add-an-encoder.md", "exec"), names)
    return names


def test_the_encoder_of_the_text_passes_and_stands_under_both_heads(made: dict[str, Any]) -> None:
    volume = torch.rand(1, 1, 16, 32, 24)
    assert made["encoder"](volume).grid == (2, 4, 3)
    assert made["segmenter"](volume).shape == (1, 5, 16, 32, 24)
    assert made["classifier"](volume).shape == (1, 2)


def test_the_entry_point_of_the_text_is_of_our_group_and_its_builder_builds(made: dict[str, Any]) -> None:
    (toml,) = blocks("toml")
    points = tomllib.loads(toml)["project"]["entry-points"][GROUP]
    assert points == {"two_scales": "my_package.encoders:build"}
    assert isinstance(made["build"](64, 2), made["TwoScales"])


def test_the_builder_on_a_2d_transformer_takes_the_weights_of_the_folder(
    made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vision = random_vision(24, 2, 2)
    vision.save_pretrained(tmp_path / "weights" / "vit")
    monkeypatch.chdir(tmp_path)
    encoder = made["build_from_2d"](32, 2)
    assert encoder(torch.rand(1, 2, 32, 32, 32)).grid == (2, 2, 2)
    taken = encoder.frozen["blocks"][1].mlp.fc1.weight
    assert torch.equal(taken, vision.layers[1].mlp.fc1.weight)
