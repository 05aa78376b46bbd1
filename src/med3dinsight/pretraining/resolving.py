"""From what the user has set to what a run goes by, and the refusal of settings that would do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..errors import ConfigError
from .config import PretrainConfig
from .methods import METHODS, Method, find_method
from .psat_choices import check_alignment, preset_choices
from .settings_read import CHOICES, MASK_BLOCK, SPECIFIC

#: Given where neither the user nor the method says anything.
_DEFAULTS: Mapping[str, Any] = {
    "slices_per_volume": 1,
    "contrast_augmentation": 0.6,
    "alignment": "infonce",
    "temperature": 0.07,
    "metric": "euclidean",
    "reconstruction": "none",
    "mask_ratio": 0.6,
    "mask_block": MASK_BLOCK,
    "teacher_momentum": 0.99,
}


def resolve(config: PretrainConfig) -> PretrainConfig:
    """Fills in what the user has left to the method, and checks what can be checked before anything is read.

    What the method does not read stays as it is. Resolving twice is resolving once.

    Raises:
        ConfigError: No method has that name, the settings do not go together, or one of them would do nothing.
    """
    chosen = _choose(config)
    _refuse_unread(config, chosen)
    known = _presets(config.method)
    given = {name: known[name] for name in known if getattr(chosen, name) is None and not _why_unread(name, chosen)}
    resolved = chosen.model_copy(update=given)
    _check(resolved, find_method(config.method))
    return resolved


def unread(config: PretrainConfig) -> frozenset[str]:
    """Returns the settings that the run would not look at, whether they are set or not.

    Raises:
        ConfigError: No method has that name.
    """
    chosen = _choose(config)
    return frozenset(name for name in SPECIFIC if _why_unread(name, chosen))


def shown(config: PretrainConfig) -> dict[str, Any]:
    """Returns the resolved settings that the run goes by, as plain JSON values.

    Raises:
        ConfigError: As :func:`resolve`.
    """
    resolved = resolve(config)
    return resolved.model_dump(mode="json", exclude=set(unread(resolved)))


def default_of(name: str) -> Any:
    """Returns what a setting is where nobody sets it."""
    return PretrainConfig.model_fields[name].get_default(call_default_factory=True)


def _presets(method: str) -> dict[str, Any]:
    entry = find_method(method)
    return {**_DEFAULTS, **asdict(entry.recipe), **preset_choices(method), **entry.preset}


def _choose(config: PretrainConfig) -> PretrainConfig:
    """Fills in the choices on which other settings hang."""
    method, known = find_method(config.method), _presets(config.method)
    open_choices = [name for name in CHOICES if name in method.reads and getattr(config, name) is None]
    return config.model_copy(update={name: known[name] for name in open_choices})


def _refuse_unread(config: PretrainConfig, chosen: PretrainConfig) -> None:
    for name in sorted(SPECIFIC):
        value = getattr(config, name)
        if value != default_of(name) and (why := _why_unread(name, chosen)):
            reason, hint = why
            raise ConfigError(f"pretrain.{name} = {value} has no effect: {reason}", hint)


def _why_unread(name: str, chosen: PretrainConfig) -> tuple[str, str] | None:
    """Returns why a setting is not read, and what reads it; None where it is read."""
    method = find_method(chosen.method)
    if name not in SPECIFIC:
        return None
    if name not in method.reads:
        readers = ", ".join(other for other, entry in METHODS.items() if name in entry.reads)
        return f"the method {chosen.method} does not read it", f"leave it out; methods that read it: {readers}"
    for choice, values in CHOICES.items():
        if choice not in method.reads or not any(name in read for read in values.values()):
            continue
        taken = getattr(chosen, choice)
        if name not in values[taken]:
            readers = ", ".join(value for value, read in values.items() if name in read)
            reason = f"it is not read with pretrain.{choice} = {taken}"
            return reason, f"leave it out; it is read with pretrain.{choice} = {readers}"
    if name in method.of_texts and (chosen.no_text or chosen.match == "image"):
        without = "pretrain.no_text" if chosen.no_text else "pretrain.match = image"
        return f"with {without} no texts are matched", f"leave it out, or take {without} away"
    return None


def _check(config: PretrainConfig, method: Method) -> None:
    if config.no_text and not method.without_text:
        raise ConfigError(
            f"pretrain.no_text: without texts nothing is left of {config.method}", "take a method without texts"
        )
    if config.no_text and config.match == "text":
        raise ConfigError("pretrain.no_text and pretrain.match = text leave nothing to match", "take one of them away")
    if config.recipe.batch_volumes < method.least_volumes:
        raise ConfigError(
            f"{config.method} compares volumes and cannot learn from {config.batch_volumes} a step",
            f"set pretrain.batch_volumes to {method.least_volumes} or more",
        )
    _check_watching(config, method)
    if "psat_module" in method.reads:
        check_alignment(config)


def _check_watching(config: PretrainConfig, method: Method) -> None:
    """Refuses read-outs that would show nothing, or that nobody would make."""
    if unseen := sorted(set(config.watch) - set(config.held_out)):
        raise ConfigError(
            f"watched subject {unseen[0]} is not held out, so that a read-out on it would show nothing",
            f"add --held-out {unseen[0]}",
        )
    if not config.readout_every:
        if config.watch or config.watch_classes:
            name = "watch" if config.watch else "watch_classes"
            raise ConfigError(
                f"pretrain.{name} is set, and there are no read-outs while training",
                "set pretrain.readout_every to the steps between them",
            )
        return
    if not config.watch:
        raise ConfigError(
            "pretrain.readout_every is set and nobody is watched", "name held-out people in pretrain.watch"
        )
    if "psat_module" not in method.reads and not config.watch_classes:
        raise ConfigError(
            f"pretrain.readout_every: {config.method} has no PSAT to ask, and only a probe could read it out",
            "name classes in pretrain.watch_classes",
        )
