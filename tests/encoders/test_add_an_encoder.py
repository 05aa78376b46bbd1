"""The code of docs/how-to/add-an-encoder.md runs and does what the text says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from med3dinsight.encoders.plugins import GROUP

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
