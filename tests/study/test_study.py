"""A study file resolves to the settings of every call, and keeps test people out of all that is fitted."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from med3dinsight import study as study_module
from med3dinsight.cli.demo import PRESETS
from med3dinsight.cli.settings import TABLES
from med3dinsight.errors import ConfigError
from med3dinsight.study import Study, read_study, study_from

TEXT = """
[study]
name = "small"
data = "scans"
test_subjects = ["t1", "t2"]
validation_subjects = ["v"]
seeds = [4, 5, 6]
pretraining_seeds = [1, 2]

[prepare]
protocol = "native"

[pretrain]
encoder = "vit_tiny"
steps = 9

[finetune]
train = ["a"]
classes = { liver = ["liver"], lung = ["lung_*"] }

[localize]
max_crops = 7

[probe]

[[arm]]
name = "scratch"
init = "scratch"

[[arm]]
name = "text"

[[arm]]
name = "plain"
captioner = "template"
method = "paper"
pretrain = { steps = 3 }

[[arm]]
name = "shuffled"
captioner = "shuffled"
control_of = "text"
finetune = false
"""


@pytest.fixture
def document() -> dict[str, Any]:
    """The study above as TOML gives it."""
    return tomllib.loads(TEXT)


@pytest.fixture
def study(document: dict[str, Any]) -> Study:
    """The study above."""
    return study_from(document, (), Path("/data"))


def test_test_people_are_held_out_of_everything_that_is_fitted(study: Study) -> None:
    people = ("t1", "t2")
    assert all(config.held_out == people for config in study.pretrain_configs())
    assert all(study.embed_config(name).held_out == people for name in study.matched_captioners())
    for config in study.finetune_configs():
        assert (config.train, config.validation, config.test) == (("a",), ("v",), people)
    assert study.localize_config().people == people
    assert (study.probe_config().train, study.probe_config().test) == (("a",), people)


def test_arms_change_what_they_say_and_share_the_rest(study: Study) -> None:
    configs = {config.run: config for config in study.pretrain_configs()}
    assert list(configs) == ["text-s1", "text-s2", "plain-s1", "plain-s2", "shuffled-s1", "shuffled-s2"]
    assert (configs["text-s2"].seed, configs["text-s2"].captioner, configs["text-s2"].steps) == (2, "tissue", 9)
    plain = configs["plain-s1"]
    assert (plain.captioner, plain.method, plain.steps, plain.encoder) == ("template", "paper", 3, "vit_tiny")


def test_fine_tuning_has_a_run_for_each_seed_and_takes_pretraining_seeds_in_turns(study: Study) -> None:
    configs = {config.run_name: config for config in study.finetune_configs()}
    assert [name for name in configs if name.startswith("text")] == ["text-s4", "text-s5", "text-s6"]
    assert [configs[f"text-s{seed}"].init for seed in (4, 5, 6)] == ["text-s1", "text-s2", "text-s1"]
    assert "shuffled-s4" not in configs
    assert {config.init for name, config in configs.items() if name.startswith("scratch")} == {"scratch"}
    assert study.evaluate_config().runs == tuple(configs)


def test_the_scratch_twin_has_the_same_network_and_schedule(study: Study) -> None:
    scratch, text = (next(c for c in study.finetune_configs() if c.arm == arm) for arm in ("scratch", "text"))
    assert scratch.network == text.network == "vit_tiny"
    changed = {"run", "arm", "init"}
    assert scratch.model_dump(exclude=changed) == text.model_dump(exclude=changed)


def test_captioners_come_after_those_they_shuffle(study: Study, document: dict[str, Any]) -> None:
    assert study.captioners() == ["tissue", "template", "shuffled"]
    document["arm"] = [{"name": "a", "captioner": "shuffled"}]
    alone = study_from(document, (), Path())
    assert (alone.captioners(), alone.matched_captioners()) == (["tissue", "shuffled"], ["shuffled"])


def test_shuffled_controls_stand_beside_their_arm_in_localisation(study: Study) -> None:
    config = study.localize_config()
    assert config.arms == {"text": ("text-s1", "text-s2"), "plain": ("plain-s1", "plain-s2")}
    assert config.controls == {"text": ("shuffled-s1", "shuffled-s2")}
    assert config.max_crops == 7


def test_methods_without_a_psat_are_not_asked_where_a_slice_lies(document: dict[str, Any]) -> None:
    document["arm"].append({"name": "masked", "method": "mae"})
    study = study_from(document, (), Path("/data"))
    assert "masked" not in study.localize_config().arms
    assert "masked-s1" in study.probe_config().runs


def test_a_method_that_does_not_exist_shows_before_anything_runs(document: dict[str, Any]) -> None:
    document["arm"].append({"name": "masked", "method": "mea"})
    with pytest.raises(ConfigError, match="no pre-training method called mea"):
        study_from(document, (), Path("/data"))


def test_data_are_the_sample_or_a_folder_beside_the_file(study: Study, document: dict[str, Any]) -> None:
    assert study.prepare_config(Path("/w")).source == "/data/scans"
    document["study"]["data"] = "/elsewhere"
    assert study_from(document, (), Path("/data")).prepare_config(Path("/w")).source == "/elsewhere"
    document["study"]["data"] = "sample"
    assert study_from(document, (), Path("/data")).prepare_config(Path("/w")).source == "/w/sample"


def test_a_table_of_labels_lies_beside_the_study_file(document: dict[str, Any], tmp_path: Path) -> None:
    document["finetune"] = {"task": "classification", "table": "labels.csv"}
    del document["probe"]
    (config, *_) = study_from(document, (), tmp_path).finetune_configs()
    assert (config.task, config.table) == ("classification", str(tmp_path / "labels.csv"))
    document["finetune"]["table"] = 7
    with pytest.raises(ConfigError, match=r"finetune\.table = 7"):
        study_from(document, (), tmp_path)


def test_jobs_keep_to_one_thread_and_the_device_of_the_study(document: dict[str, Any]) -> None:
    document["study"]["device"] = "cpu"
    document["embed"] = {"threads": 2}
    study = study_from(document, (), Path())
    assert {(config.device, config.threads) for config in study.pretrain_configs()} == {("cpu", 1)}
    assert study.embed_config("tissue").threads == 2


def test_every_table_and_every_arm_can_be_overridden(document: dict[str, Any]) -> None:
    before = copy.deepcopy(document)
    texts = ["study.seeds=[9]", "prepare.spacing_mm=3.0", "arm.plain.method=insight", "arm.text.pretrain.steps=2"]
    study = study_from(document, texts, Path())
    assert study.config.seeds == (9,)
    assert study.prepare_config(Path()).spacing_mm == 3.0
    steps = {config.run: (config.steps, config.method) for config in study.pretrain_configs()}
    assert (steps["text-s1"], steps["plain-s1"]) == ((2, "insight"), (3, "insight"))
    assert document == before


def test_a_study_can_be_stored_and_read_back(study: Study, document: dict[str, Any]) -> None:
    changed = study_from(document, ["arm.text.pretrain.steps=2", "study.seeds=[9]"], Path("/data"))
    assert study_from(changed.document, (), Path("/data")) == changed
    assert study != changed


@pytest.mark.parametrize(
    ("old", "new", "error", "hint"),
    [
        ("[probe]", "[prob]", r"unknown table \[prob\]", "did you mean probe?"),
        ("steps = 9", "stepz = 9", "unknown setting pretrain.stepz", "did you mean steps?"),
        ("steps = 9", "steps = -9", "pretrain.steps = -9", "optimiser steps"),
        ("steps = 9", "seed = 9", "pretrain.seed is set by the study itself", r"\[study\]"),
        ("seeds = [4", "seed = [4", "unknown setting study.seed", "did you mean seeds?"),
        ('method = "paper"', 'methode = "paper"', "unknown setting arm.methode", "did you mean method?"),
        ("steps = 3", "stepz = 3", "unknown setting pretrain.stepz", "did you mean steps?"),
        ("steps = 3", "run = 3", "arm plain sets pretrain.run", "the study itself"),
        (
            'control_of = "text"',
            'control_of = "txt"',
            "arm shuffled is the control of txt, which is no other arm",
            "did you mean text?",
        ),
        ('init = "scratch"', 'init = "scratsh"', "arm.init = 'scratsh'", "where its weights start"),
        ('init = "scratch"', 'init = "scratch"\nmethod = "paper"', "scratch and has pre-training", "remove one"),
        ('name = "plain"', 'name = "text"', "two arms have the same name", "of its own"),
        ('name = "plain"', "", "setting arm.name is missing", "add it to the file"),
        ('subjects = ["v"]', 'subjects = ["t1"]', "t1 is for test and for validation", "once"),
        ('captioner = "template"', 'captioner = "templat"', "no captioner of that name; did you mean template", ""),
        (
            "[probe]",
            "[probe]\nvoxels_class = 1",
            "unknown setting probe.voxels_class",
            "did you mean voxels_per_class?",
        ),
    ],
)
def test_a_mistake_is_found_before_anything_runs(old: str, new: str, error: str, hint: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(ConfigError, match=error) as caught:
        study_from(tomllib.loads(TEXT.replace(old, new)), (), Path())
    assert hint.replace("\\", "") in caught.value.hint


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        ("arm.txt.method=paper", "arm.txt.method: no such arm", "did you mean text?"),
        ("arm.text=3", "arm.text: no such arm", ""),
        ("pretrian.steps=3", r"unknown table \[pretrian\]", "did you mean pretrain?"),
    ],
)
def test_a_wrong_override_is_an_error(document: dict[str, Any], text: str, error: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=error) as caught:
        study_from(document, [text], Path())
    assert hint in caught.value.hint


def test_a_study_without_arms_says_what_to_add(document: dict[str, Any]) -> None:
    del document["arm"]
    with pytest.raises(ConfigError, match="no arms") as caught:
        study_from(document, (), Path())
    assert "[[arm]]" in caught.value.hint


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_shipped_studies_are_about_chest_ct_and_have_a_scratch_twin_and_a_control(preset: Path) -> None:
    study = read_study(preset)
    assert study.uses_sample
    assert study.config.test_subjects == ("chest_ct",)
    assert "scratch" in {config.init for config in study.finetune_configs()}
    assert study.localize_config().controls


def test_the_command_line_knows_the_same_tables() -> None:
    assert set(TABLES) == set(study_module.TABLES)


def test_shared_settings_are_left_to_the_arms_whose_method_reads_them(document: dict[str, Any]) -> None:
    document["pretrain"] |= {
        "alignment": "infonce",
        "temperature": 0.2,
        "captioner": "template",
        "ot_mass": 0.9,
        "shift_voxels": 3,
    }
    document["arm"] += [
        {"name": "masked", "method": "mae"},
        {"name": "moved", "pretrain": {"alignment": "partial-ot"}},
    ]
    study = study_from(document, (), Path())
    configs = {config.run.removesuffix("-s1"): config for config in study.pretrain_configs()}
    read = {name: (config.temperature, config.captioner, config.ot_mass) for name, config in configs.items()}
    assert read["text"] == (0.2, "template", 0.95)
    assert read["masked"] == (None, "tissue", 0.95)
    assert read["moved"] == (None, "template", 0.9)
    assert configs["masked"].shift_voxels == configs["text"].shift_voxels == 3
    assert study.matched_captioners() == ["template", "shuffled"]


@pytest.mark.parametrize(
    ("shared", "own", "message"),
    [
        ({"teacher_momentum": 0.9}, {}, "pretrain.teacher_momentum = 0.9 has no effect"),
        ({"ot_mass": 0.9, "alignment": "infonce"}, {}, "not read with pretrain.alignment = infonce"),
        ({}, {"method": "mae", "captioner": "template"}, "the method mae does not read it"),
        (
            {"temperature": 0.2, "alignment": "infonce"},
            {"method": "mae", "pretrain": {"temperature": 0.1}},
            "the method mae does not read it",
        ),
    ],
)
def test_settings_that_no_arm_reads_or_that_an_arm_sets_for_nothing_are_refused(
    document: dict[str, Any], shared: dict[str, Any], own: dict[str, Any], message: str
) -> None:
    document["pretrain"] |= shared
    document["arm"].append({"name": "own", **own})
    with pytest.raises(ConfigError, match=message):
        study_from(document, (), Path())
