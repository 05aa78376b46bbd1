"""A study, resolved: one settings object for every call of a stage; ``pipeline.py`` makes the calls.

Test subjects are held out of all that is fitted. The caption audit and the read-outs run where their table,
``[audit]``, ``[localize]`` or ``[probe]``, stands in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..alignment.presets import PSAT_PRESETS
from ..captions.config import CaptionConfig
from ..config import build
from ..datasets.fetching import FOLDER as SAMPLE_FOLDER
from ..evaluation.config import EvaluateConfig
from ..evaluation.readout_config import LocalizeConfig, ProbeConfig
from ..features.config import EmbedConfig
from ..finetuning.config import FinetuneConfig
from ..preparing.config import PrepareConfig
from ..pretraining.config import PretrainConfig
from ..pretraining.methods import find_method
from ..pretraining.resolving import default_of, unread
from .captioning import settings_read_by
from .config import Arm, StudyConfig
from .tables import STAGES


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
        model, _ = STAGES[stage]
        machine = {"device": self.config.device, "threads": 1}
        known = {key: value for key, value in machine.items() if key in model.model_fields}
        return build(model, {**known, **self.tables.get(stage, {}), **given}, stage)

    @property
    def uses_sample(self) -> bool:
        """Whether the study is about the sample scans, which are fetched into the workspace."""
        return self.config.data == "sample"

    def matched_captioners(self) -> list[str]:
        """Captioners whose texts some arm matches; where none does, the one whose slice table gives the crops."""
        configs = [self.pretrain_config(arm, 0) for arm in self.pretrained_arms()]
        matching = [config for config in configs if find_method(config.method).features]
        return list(dict.fromkeys(config.captioner for config in matching or configs))

    def captioners(self) -> list[str]:
        """Captioners to run, in order: whose texts others read come first."""
        order: list[str] = []
        for name in self.matched_captioners():
            chain = [name]
            while (source := self.caption_config(chain[-1]).texts_from) and source not in chain:
                chain.append(source)
            order += reversed(chain)
        return list(dict.fromkeys(order))

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
        """Settings of captioning by one captioner; what the table sets for others is left to them."""
        settings = settings_read_by(captioner, self.tables.get("caption", {}), self.folder)
        given = {"captioner": captioner, "held_out": self.config.test_subjects}
        return build(CaptionConfig, {"device": self.config.device, **settings, **given}, "caption")

    def embed_config(self, captioner: str) -> EmbedConfig:
        """Settings of embedding one captioner's texts."""
        return self.build("embed", captioner=captioner, held_out=self.config.test_subjects)

    def pretrain_config(self, arm: Arm, seed: int) -> PretrainConfig:
        """Settings of one pre-training run, called ``ARM-sSEED``.

        What the table ``[pretrain]`` sets for all arms is left to those whose method reads it.
        """
        shared = set(self.tables.get("pretrain", {})) - set(self._own(arm))
        config = self.pretrain_as_written(arm, seed)
        return config.model_copy(update={name: default_of(name) for name in unread(config) & shared})

    def pretrain_as_written(self, arm: Arm, seed: int) -> PretrainConfig:
        """The same with everything that the file sets, whether the arm's method reads it or not."""
        run = {"run": f"{arm.name}-s{seed}", "seed": seed, "held_out": self.config.test_subjects}
        config: PretrainConfig = self.build("pretrain", **self._own(arm), **run)
        return config

    def _own(self, arm: Arm) -> dict[str, Any]:
        named = {"captioner": arm.captioner, "encoder": arm.encoder, "method": arm.method}
        return {key: value for key, value in named.items() if value is not None} | arm.pretrain

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
