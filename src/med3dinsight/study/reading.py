"""Reads a study file, and finds its mistakes before anything runs.

::

    [study]                     the data, who is tested, the seeds
    [prepare] [caption] [audit] [embed] [pretrain] [finetune] [evaluate] [localize] [probe] [report]
                                settings of the stages, the same for all arms
    [[arm]]                     what is compared: a name, where its weights start, and how it differs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..config import apply_overrides, build, parse_override, read_toml
from ..errors import ConfigError, suggest
from ..pretraining.resolving import default_of, resolve, unread
from .captioning import refuse_unread_by_all
from .config import Arm, StudyConfig
from .study import Study
from .tables import STAGES, TABLES


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
    tables = {name: _table(document, name) for name in STAGES if name in document}
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
        if key in STAGES[name][1]:
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
        if own := STAGES["pretrain"][1] & set(arm.pretrain):
            raise ConfigError(f"arm {arm.name} sets pretrain.{min(own)}", "the study itself sets it; see [study]")
        if arm.init == "scratch" and (arm.captioner or arm.method or arm.pretrain):
            raise ConfigError(f"arm {arm.name} starts from scratch and has pre-training settings", "remove one of both")
    return arms


def _refuse_unread(study: Study) -> None:
    """Refuses a setting of ``[pretrain]`` that no arm reads; what some arms read is left to them."""
    written = [study.pretrain_as_written(arm, 0) for arm in study.pretrained_arms()]
    if written:
        of_others = unread(written[0]) - frozenset.intersection(*map(unread, written))
        resolve(written[0].model_copy(update={name: default_of(name) for name in of_others}))


def _check_settings(study: Study) -> None:
    """Builds the settings of every call once, so that a mistake shows before anything runs."""
    if both := set(study.config.test_subjects) & set(study.config.validation_subjects):
        raise ConfigError(f"subject {min(both)} is for test and for validation", "name each subject once")
    study.prepare_config(Path())
    study.build("report")
    refuse_unread_by_all(study.captioners(), study.tables.get("caption", {}))
    for captioner in study.captioners():
        study.caption_config(captioner)
        study.embed_config(captioner)
    for config in study.pretrain_configs():
        resolve(config)
    _refuse_unread(study)
    study.evaluate_config()
    for table, settings in (("localize", study.localize_config), ("probe", study.probe_config)):
        if table in study.tables:
            settings()
