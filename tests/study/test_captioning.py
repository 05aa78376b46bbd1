"""A study has a language model beside its controls: each captioner reads the settings that are its own."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from med3dinsight.errors import ConfigError
from med3dinsight.study import Study, study_from

TEXT = """
[study]
name = "words"
data = "scans"
test_subjects = ["t"]

[caption]
positions_per_plane = 8
model = "m"
base_url = "https://api.example.com/v1"
allow_remote = true
policy = "policy.toml"
prices = "/elsewhere/prices.toml"
prompt = "own.toml"
budget_usd = 5.0
shuffle_of = "openai"

[finetune]
classes = { liver = ["liver"] }

[[arm]]
name = "words"
captioner = "openai"

[[arm]]
name = "shuffled"
captioner = "shuffled"
control_of = "words"

[[arm]]
name = "template"
captioner = "template"
"""


def study_of(text: str, folder: Path = Path("/studies")) -> Study:
    return study_from(tomllib.loads(text), (), folder)


def test_a_language_model_and_its_controls_share_one_table() -> None:
    study = study_of(TEXT)
    assert study.captioners() == ["openai", "shuffled", "template"]
    model, *controls = (study.caption_config(name) for name in study.captioners())
    assert (model.model, model.budget_usd, model.allow_remote) == ("m", 5.0, True)
    assert [(config.model, config.budget_usd, config.allow_remote) for config in controls] == [("", None, False)] * 2
    assert {config.positions_per_plane for config in (model, *controls)} == {8}


def test_files_lie_beside_the_study_unless_their_path_is_whole(tmp_path: Path) -> None:
    config = study_of(TEXT, tmp_path).caption_config("openai")
    assert (config.policy, config.prices) == (tmp_path / "policy.toml", Path("/elsewhere/prices.toml"))
    assert config.prompt == str(tmp_path / "own.toml")
    (tmp_path / "m").mkdir()
    assert study_of(TEXT, tmp_path).caption_config("openai").model == str(tmp_path / "m")


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('captioner = "openai"', 'captioner = "tissue"', r"caption\.model is read by openai, .* and no arm has"),
        ("positions_per_plane", "existing = 'x.csv'\npositions_per_plane", r"caption\.existing is read by imported"),
        ("positions_per_plane", "captioner = 'openai'\npositions_per_plane", r"captioner is set by the study itself"),
        ("budget_usd", "budget_us", "budget_us"),
        ("budget_usd = 5.0", "budget_usd = -1", "budget_usd"),
    ],
)
def test_what_no_captioner_reads_is_refused(old: str, new: str, error: str) -> None:
    changed = TEXT.replace(old, new)
    assert changed != TEXT
    with pytest.raises(ConfigError, match=error):
        study_of(changed.replace('shuffle_of = "openai"', "") if "tissue" in new else changed)


def test_the_study_keeps_its_device_for_captioners_that_compute() -> None:
    document: dict[str, Any] = tomllib.loads(TEXT)
    document["study"]["device"] = "cpu"
    assert study_from(document, (), Path()).caption_config("openai").device == "cpu"
