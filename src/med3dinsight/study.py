"""A study: which people, stages, arms and seeds; read from one TOML file.

::

    [study]                     the data, who is tested, the seeds
    [prepare] [caption] [embed] [pretrain] [finetune] [evaluate] [localize] [probe] [report]
                                settings of the stages, the same for all arms
    [[arm]]                     what is compared: a name, where its weights start, and how it differs

It resolves to one settings object for every call of a stage; ``pipeline.py`` makes the calls. Test subjects are held
out of all that is fitted. The read-outs run where their table, ``[localize]`` or ``[probe]``, stands in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from .alignment.presets import PSAT_PRESETS
from .captions.config import CaptionConfig
from .config import StageConfig, apply_overrides, build, parse_override, read_toml
from .datasets.fetching import FOLDER as SAMPLE_FOLDER
from .errors import ConfigError, suggest
from .evaluation.config import EvaluateConfig
from .evaluation.readout_config import LocalizeConfig, ProbeConfig
from .features.config import EmbedConfig
from .finetuning.config import FinetuneConfig
from .preparing.config import PrepareConfig
from .pretraining.config import PretrainConfig
from .pretraining.methods import resolve
from .report.config import ReportConfig


class StudyConfig(StageConfig):
    """The table ``[study]``."""

    section: ClassVar[str] = "study"
    machine_settings: ClassVar[frozenset[str]] = frozenset({"device", "workers"})

    name: str = Field("study", pattern=r"^[A-Za-z0-9._-]+$", description="short name, of the default folder too")
    title: str = Field("", description="title of the report; empty = the name")
    data: str = Field("sample", description='"sample" for the sample scans, or a folder beside the study file')
    test_subjects: tuple[str, ...] = Field((), description="people who are tested and never trained on")
    validation_subjects: tuple[str, ...] = Field((), description="people on whom fine-tuning is watched")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="seeds of fine-tuning, one run each")
    pretraining_seeds: tuple[int, ...] = Field((0,), min_length=1, description="seeds of pre-training, one run each")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N, for all stages that compute")
    workers: int = Field(0, ge=0, description="runs side by side, 0 = one a core, or one where they share a GPU")


class Arm(StageConfig):
    """One ``[[arm]]``: a way to start fine-tuning that is compared with the others."""

    section: ClassVar[str] = "arm"

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="name of the arm")
    init: Literal["pretrain", "scratch"] = Field("pretrain", description="where its weights start")
    captioner: str | None = Field(None, description="whose texts its pre-training matches")
    encoder: str | None = Field(None, description="its 3D encoder")
    method: str | None = Field(None, description="its pre-training method")
    pretrain: dict[str, Any] = Field(default_factory=dict, description="settings of [pretrain] that it changes")
    finetune: bool = Field(True, description="whether it is fine-tuned; a control for localisation need not be")
    control_of: str | None = Field(None, description="the arm whose control it is")


#: The stage tables, each with the settings that the study gives itself.
_STAGES: dict[str, tuple[type[StageConfig], frozenset[str]]] = {
    "prepare": (PrepareConfig, frozenset({"source"})),
    "caption": (CaptionConfig, frozenset()),
    "embed": (EmbedConfig, frozenset({"captioner", "held_out"})),
    "pretrain": (PretrainConfig, frozenset({"run", "held_out", "seed"})),
    "finetune": (FinetuneConfig, frozenset({"run", "arm", "init", "validation", "test", "seed"})),
    "evaluate": (EvaluateConfig, frozenset({"runs"})),
    "localize": (LocalizeConfig, frozenset({"arms", "controls", "people"})),
    "probe": (ProbeConfig, frozenset({"runs", "test"})),
    "report": (ReportConfig, frozenset()),
}
TABLES = ("study", *_STAGES, "arm")


@dataclass(frozen=True)
class Study:
    """A study, checked: every setting of every stage call is known and allowed.

    Attributes:
        config: The table ``[study]``.
        tables: ``{stage: {key: value}}``, the settings that all arms share.
        arms: What is compared, in the order of the file.
        document: All of it as plain values, as :func:`study_from` takes it.
        folder: Where a relative ``data`` folder starts.
    """

    config: StudyConfig
    tables: Mapping[str, Mapping[str, Any]]
    arms: tuple[Arm, ...]
    folder: Path
    document: dict[str, Any]

    def build(self, stage: str, **given: Any) -> Any:
        """Builds a stage's settings from its table, the study's device, one thread, and what is given.

        One thread a process beats two in one, and jobs run side by side.
        """
        model, _ = _STAGES[stage]
        machine = {"device": self.config.device, "threads": 1}
        known = {key: value for key, value in machine.items() if key in model.model_fields}
        return build(model, {**known, **self.tables.get(stage, {}), **given}, stage)

    @property
    def uses_sample(self) -> bool:
        """Whether the study is about the sample scans, which are fetched into the workspace."""
        return self.config.data == "sample"

    def matched_captioners(self) -> list[str]:
        """Captioners whose texts some arm matches."""
        return list(dict.fromkeys(self.pretrain_config(arm, 0).captioner for arm in self.pretrained_arms()))

    def captioners(self) -> list[str]:
        """Captioners to run, in order: what is shuffled comes before its shuffling."""
        matched = self.matched_captioners()
        sources = [self.caption_config(name).shuffle_of for name in matched if name == "shuffled"]
        return list(dict.fromkeys((*sources, *matched)))

    def pretrained_arms(self) -> list[Arm]:
        """Arms that start from pre-trained weights."""
        return [arm for arm in self.arms if arm.init == "pretrain"]

    def pretraining_runs(self, arm: Arm) -> tuple[str, ...]:
        """Names of an arm's pre-training runs."""
        return tuple(f"{arm.name}-s{seed}" for seed in self.config.pretraining_seeds)

    def prepare_config(self, workspace: Path) -> PrepareConfig:
        """Settings of preparing the sample scans in the workspace, or the folder that the study names."""
        source = workspace / SAMPLE_FOLDER if self.uses_sample else self.folder / self.config.data
        return self.build("prepare", source=str(source))

    def caption_config(self, captioner: str) -> CaptionConfig:
        """Settings of captioning by one captioner."""
        return self.build("caption", captioner=captioner)

    def embed_config(self, captioner: str) -> EmbedConfig:
        """Settings of embedding one captioner's texts."""
        return self.build("embed", captioner=captioner, held_out=self.config.test_subjects)

    def pretrain_config(self, arm: Arm, seed: int) -> PretrainConfig:
        """Settings of one pre-training run, called ``ARM-sSEED``."""
        named = {"captioner": arm.captioner, "encoder": arm.encoder, "method": arm.method}
        own = {key: value for key, value in named.items() if value is not None} | arm.pretrain
        return self.build("pretrain", **own, run=f"{arm.name}-s{seed}", seed=seed, held_out=self.config.test_subjects)

    def finetune_config(self, arm: Arm, number: int) -> FinetuneConfig:
        """Settings of one fine-tuning run, called ``ARM-sSEED``; ``number`` counts the seeds.

        With several pre-training seeds the runs take them in turns. The scratch twin has the shared encoder's network.
        """
        seed, shared = self.config.seeds[number], self.tables.get("finetune", {})
        encoder = arm.encoder or self.tables.get("pretrain", {}).get("encoder")
        runs = self.pretraining_runs(arm)
        return self.build(
            "finetune",
            run=f"{arm.name}-s{seed}",
            arm=arm.name,
            init="scratch" if arm.init == "scratch" else runs[number % len(runs)],
            network=shared.get("network", encoder),
            seed=seed,
            validation=self.config.validation_subjects,
            test=self.config.test_subjects,
            table=str(self.folder / shared["table"]) if isinstance(shared.get("table"), str) else shared.get("table"),
        )

    def pretrain_configs(self) -> list[PretrainConfig]:
        """Settings of all pre-training runs."""
        seeds = self.config.pretraining_seeds
        return [self.pretrain_config(arm, seed) for arm in self.pretrained_arms() for seed in seeds]

    def finetune_configs(self) -> list[FinetuneConfig]:
        """Settings of all fine-tuning runs."""
        numbers = range(len(self.config.seeds))
        return [self.finetune_config(arm, number) for arm in self.arms if arm.finetune for number in numbers]

    def evaluate_config(self) -> EvaluateConfig:
        """Settings of scoring this study's fine-tuned runs."""
        return self.build("evaluate", runs=tuple(config.run_name for config in self.finetune_configs()))

    def localize_config(self) -> LocalizeConfig:
        """Settings of slice localisation in the test people: the arms, and their controls by shuffled captions."""
        groups: dict[str, dict[str, tuple[str, ...]]] = {"arms": {}, "controls": {}}
        for arm in self.pretrained_arms():
            config = self.pretrain_config(arm, 0)
            if arm.control_of and config.captioner == "shuffled":
                groups["controls"][arm.control_of] = self.pretraining_runs(arm)
            elif config.method in PSAT_PRESETS:  # other methods have nothing that could be asked
                groups["arms"][arm.name] = self.pretraining_runs(arm)
        return self.build("localize", **groups, people=self.config.test_subjects)

    def probe_config(self) -> ProbeConfig:
        """Settings of the frozen probe; classes and training people are those of fine-tuning unless given."""
        finetune = self.tables.get("finetune", {})
        shared = {key: finetune[key] for key in ("classes", "train") if key in finetune}
        given = {"runs": tuple(config.run for config in self.pretrain_configs()), "test": self.config.test_subjects}
        return self.build("probe", **{**shared, **self.tables["probe"], **given})


def read_study(path: Path, overrides: Iterable[str] = ()) -> Study:
    """Reads a study file and checks every setting before anything runs.

    Args:
        path: The TOML file.
        overrides: Texts of ``--set``: ``table.key=value`` or ``arm.NAME.key=value``.

    Raises:
        ConfigError: The file, a table, a key or a value is wrong.
    """
    return study_from(read_toml(path), overrides, path.absolute().parent)


def study_from(document: Mapping[str, Any], overrides: Iterable[str], folder: Path) -> Study:
    """Builds a study from the content of its file; see :func:`read_study`."""
    for name in document:
        _check_table(name)
    texts = [(text, parse_override(text)) for text in overrides]
    for _, (section, _, _) in texts:
        _check_table(section)
    document = apply_overrides(document, [text for text, (section, _, _) in texts if section != "arm"])
    document["arm"] = _arm_rows(document, [parts[1:] for _, parts in texts if parts[0] == "arm"])
    tables = {name: _table(document, name) for name in _STAGES if name in document}
    config = build(StudyConfig, document.get("study", {}), "study")
    study = Study(config, tables, _arms(document["arm"]), folder, document)
    _check_settings(study)
    return study


def _check_table(name: str) -> None:
    if name not in TABLES:
        raise ConfigError(f"unknown table [{name}]", suggest(name, TABLES))


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{name} is not a table of settings", f"write it as [{name}]")
    for key in table:
        if key in _STAGES[name][1]:
            raise ConfigError(f"{name}.{key} is set by the study itself", "see the tables [study] and [[arm]]")
    return dict(table)


def _arm_rows(document: Mapping[str, Any], overrides: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Returns the arms' tables with ``NAME.key`` and ``NAME.pretrain.key`` overrides applied."""
    rows = document.get("arm", [])
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) for row in rows):
        raise ConfigError("the study has no arms", 'add [[arm]] tables, each with a name, such as name = "scratch"')
    by_name = {str(row.get("name", "")): dict(row) for row in rows}
    if len(by_name) < len(rows):
        raise ConfigError("two arms have the same name, or none", "give each [[arm]] a name of its own")
    for path, value in overrides:
        name, _, key = path.partition(".")
        if name not in by_name or not key:
            raise ConfigError(f"--set arm.{path}: no such arm", suggest(name, by_name))
        if key.startswith("pretrain."):
            own = by_name[name]["pretrain"] = dict(by_name[name].get("pretrain", {}))
            own[key.removeprefix("pretrain.")] = value
        else:
            by_name[name][key] = value
    return list(by_name.values())


def _arms(rows: Iterable[dict[str, Any]]) -> tuple[Arm, ...]:
    arms = tuple(build(Arm, row, "arm") for row in rows)
    names = {arm.name for arm in arms}
    for arm in arms:
        if arm.control_of is not None and arm.control_of not in names - {arm.name}:
            message = f"arm {arm.name} is the control of {arm.control_of}, which is no other arm"
            raise ConfigError(message, suggest(arm.control_of, names - {arm.name}))
        if own := _STAGES["pretrain"][1] & set(arm.pretrain):
            raise ConfigError(f"arm {arm.name} sets pretrain.{min(own)}", "the study itself sets it; see [study]")
        if arm.init == "scratch" and (arm.captioner or arm.method or arm.pretrain):
            raise ConfigError(f"arm {arm.name} starts from scratch and has pre-training settings", "remove one of both")
    return arms


def _check_settings(study: Study) -> None:
    """Builds the settings of every call once, so that a mistake shows before anything runs."""
    if both := set(study.config.test_subjects) & set(study.config.validation_subjects):
        raise ConfigError(f"subject {min(both)} is for test and for validation", "name each subject once")
    study.prepare_config(Path())
    study.build("report")
    for captioner in study.captioners():
        study.caption_config(captioner)
        study.embed_config(captioner)
    for config in study.pretrain_configs():
        resolve(config)
    study.evaluate_config()
    for table, settings in (("localize", study.localize_config), ("probe", study.probe_config)):
        if table in study.tables:
            settings()
