"""Settings of one verb: a file's table, then ``--set``, then the verb's own options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..errors import ConfigError, suggest

if TYPE_CHECKING:
    from ..config import StageConfig

Settings = TypeVar("Settings", bound="StageConfig")
#: Tables of a study file; a verb reads its own and leaves the others to theirs.
TABLES = (
    "study",
    "prepare",
    "caption",
    "audit",
    "embed",
    "pretrain",
    "finetune",
    "evaluate",
    "localize",
    "probe",
    "report",
    "arm",
)


def read_settings(
    model: type[Settings],
    file: Path | None,
    overrides: Sequence[str] | None,
    options: Mapping[str, Any],
    work: Path | None = None,
) -> Settings:
    """Builds a verb's settings.

    Args:
        model: The settings of the stage; its ``section`` names the table.
        file: A TOML file, or None.
        overrides: Texts of ``--set``.
        options: The verb's own options; None means not given.
        work: A workspace; where a study made it and no file is given, the study's settings are the defaults.

    Raises:
        ConfigError: A table or key is unknown, or a value is not allowed.
    """
    from ..config import apply_overrides, build, parse_override, read_toml  # not before an option is right

    document = read_toml(file) if file is not None else {}
    for table in document:
        if table not in (*TABLES, model.section):
            raise ConfigError(f"unknown table [{table}] in {file}", suggest(table, TABLES))
    for text in overrides or ():
        section = parse_override(text)[0]
        if section != model.section:
            known = section in TABLES
            hint = f"this verb reads [{model.section}] only" if known else suggest(section, [model.section])
            raise ConfigError(f"--set {text}: no settings [{section}] here", hint)
    table = apply_overrides(document, overrides or ()).get(model.section, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{model.section} is not a table of settings", f"write it as [{model.section}]")
    given = {name: value for name, value in options.items() if value is not None}
    defaults = study_settings(work, model.section) if work is not None and file is None else {}
    return build(model, {**defaults, **table, **given}, model.section)


def study_settings(work: Path, section: str) -> dict[str, Any]:
    """Returns the settings that the study of a workspace gave to a stage that reads everything.

    So ``localize WORK`` alone asks what the study asked, instead of overwriting its answer with another one.

    Args:
        work: The workspace.
        section: "evaluate", "localize", "probe" or "report".
    """
    path = work / "study.json"
    if not path.exists():
        return {}
    from ..study import study_from
    from ..workspace.files import read_json

    content = read_json(path)
    study = study_from(content["document"], (), Path(content["folder"]))
    configs: dict[str, Callable[[], StageConfig]] = {
        "evaluate": study.evaluate_config,
        "localize": study.localize_config,
        "probe": study.probe_config,
        "report": lambda: cast("StageConfig", study.build("report")),
    }
    if section in ("localize", "probe") and section not in study.tables:
        return {}
    return configs[section]().model_dump()


def no_settings(verb: str, overrides: Sequence[str] | None) -> None:
    """Checks that nothing is set for a verb that has no settings; a study file may be passed to every verb.

    Raises:
        ConfigError: Something is.
    """
    if overrides:
        raise ConfigError(f"--set {overrides[0]}: {verb} has no settings", f"see `med3dinsight {verb} --help`")
