from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from med3dinsight.config import StageConfig, apply_overrides, build, parse_override, read_toml, suggest
from med3dinsight.errors import ConfigError
from med3dinsight.finetuning.config import FinetuneConfig
from med3dinsight.pretraining.config import PretrainConfig


class Settings(StageConfig):
    section: ClassVar[str] = "sample"
    steps: int = Field(default=100, ge=1, le=1000, description="optimisation steps, 1 to 1000")
    rate: float = Field(default=1e-3, gt=0, description="learning rate, above 0")
    towers: str = Field(default="minilm-lite", description="name of the towers")
    held_out: tuple[str, ...] = Field(default=(), description="subjects left out")
    device: str = Field(default="auto", description="where it runs")
    workers: int = Field(default=2, ge=1, description="processes")

    @model_validator(mode="after")
    def _check(self) -> Settings:
        if self.rate > self.steps:
            raise ValueError("rate above steps makes no sense")
        return self


class Required(StageConfig):
    source: str = Field(description="folder of scans")


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Settings, {"stepz": 3}, "sample")
    assert caught.value.message == "unknown setting sample.stepz"
    assert caught.value.hint == "did you mean steps?"
    assert caught.value.exit_code == 2


def test_an_unknown_key_far_from_all_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Settings, {"qqq": 3}, "sample")
    assert caught.value.hint == "known: device, held_out, rate, steps, towers, workers"


def test_a_value_out_of_range_tells_value_rule_and_meaning() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Settings, {"steps": 0}, "sample")
    assert "sample.steps = 0" in caught.value.message
    assert "greater than or equal to 1" in caught.value.message
    assert caught.value.hint == "steps: optimisation steps, 1 to 1000"


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_a_number_that_is_not_finite_is_refused_as_such(text: str) -> None:
    """Rules like "above 0" let infinity pass, and what they say of a NaN misleads."""
    document = apply_overrides({}, [f"sample.rate={text}"])
    with pytest.raises(ConfigError, match="finite number") as caught:
        build(Settings, document["sample"], "sample")
    assert f"sample.rate = {text}" in caught.value.message
    assert caught.value.hint == "rate: learning rate, above 0"


@pytest.mark.parametrize("section", ["pretrain", "finetune"])
@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "gradient_clip"])
def test_no_optimiser_steps_by_numbers_that_make_no_sense(section: str, name: str) -> None:
    model = {"pretrain": PretrainConfig, "finetune": FinetuneConfig}[section]
    needed = {"classes": {"liver": ("liver",)}} if section == "finetune" else {}
    # No decay is one, and pre-training may leave its gradient unclipped.
    zero_is_fine = name == "weight_decay" or (section, name) == ("pretrain", "gradient_clip")
    wrong = [math.nan, math.inf, -1.0] + ([] if zero_is_fine else [0.0])
    for value in wrong:
        with pytest.raises(ConfigError, match=f"{section}.{name} = {value}"):
            build(model, {**needed, name: value}, section)


def test_a_value_of_the_wrong_type_is_an_error_not_a_guess() -> None:
    with pytest.raises(ConfigError, match=r"sample\.steps = 'many'"):
        build(Settings, {"steps": "many"}, "sample")


def test_an_error_inside_a_list_names_the_key() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Settings, {"held_out": ["a", 3]}, "sample")
    assert "sample.held_out.1 = 3" in caught.value.message
    assert caught.value.hint == "held_out: subjects left out"


def test_settings_that_contradict_each_other_are_an_error_without_pydantic_words() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Settings, {"steps": 1, "rate": 2.0}, "sample")
    assert caught.value.message.endswith("rate above steps makes no sense")
    assert "Value error" not in str(caught.value)


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"setting scan\.source is missing"):
        build(Required, {}, "scan")


def test_settings_are_frozen() -> None:
    settings = build(Settings, {}, "sample")
    with pytest.raises(ValidationError):
        settings.steps = 5  # type: ignore[misc]


def test_identity_leaves_out_where_and_how_fast() -> None:
    slow = build(Settings, {"device": "cpu", "workers": 1}, "sample")
    fast = build(Settings, {"device": "cuda:0", "workers": 8}, "sample")
    other = build(Settings, {"steps": 7}, "sample")
    assert slow.identity() == fast.identity() != other.identity()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=3", ("a", "b", 3)),
        ("a.b=0.5", ("a", "b", 0.5)),
        ("a.b=true", ("a", "b", True)),
        ('a.b=["x", "y"]', ("a", "b", ["x", "y"])),
        ("a.b=conv_tiny", ("a", "b", "conv_tiny")),
        ("a.b=x=y", ("a", "b", "x=y")),
        (" a.b = 3 ", ("a", "b", 3)),
        ("a.b=", ("a", "b", "")),
    ],
)
def test_an_override_is_read_as_toml_and_else_as_text(text: str, expected: tuple[str, str, object]) -> None:
    assert parse_override(text) == expected


@pytest.mark.parametrize("text", ["steps=3", "pretrain.steps", "pretrain.=3", ""])
def test_an_override_without_section_or_value_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        parse_override(text)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=30))
def test_any_text_after_the_sign_is_read_or_kept_never_a_crash(value: str) -> None:
    section, key, _ = parse_override(f"a.b={value}")
    assert (section, key) == ("a", "b")


def test_overrides_change_a_copy_and_later_ones_win() -> None:
    document = {"pretrain": {"steps": 5, "seed": 1}}
    changed = apply_overrides(document, ["pretrain.steps=6", "pretrain.steps=7", "finetune.seed=2"])
    assert changed == {"pretrain": {"steps": 7, "seed": 1}, "finetune": {"seed": 2}}
    assert document == {"pretrain": {"steps": 5, "seed": 1}}


def test_an_override_of_a_key_that_is_no_table_is_an_error() -> None:
    with pytest.raises(ConfigError, match="title is not a table"):
        apply_overrides({"title": "demo"}, ["title.x=1"])


def test_a_toml_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("[pretrain]\nsteps = 3\n")
    assert read_toml(path) == {"pretrain": {"steps": 3}}


@pytest.mark.parametrize(
    ("content", "words"), [(b"[pretrain\nsteps = 3", "not valid TOML"), (b"\xff\xfe[", "not valid TOML")]
)
def test_a_file_that_is_no_toml_is_a_clear_error(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        read_toml(path)
    assert "\n" not in caught.value.message


def test_a_missing_file_and_a_folder_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_toml(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path)


def test_suggestions_are_close_or_complete() -> None:
    assert suggest("comv_tiny", ["conv_tiny", "unetr", "vit"]) == "did you mean conv_tiny?"
    assert suggest("zzz", ["vit", "conv_tiny"]) == "known: conv_tiny, vit"
