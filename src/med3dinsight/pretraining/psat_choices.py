"""The choices of a method that aligns slices by PSAT, as the settings of its parts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .config import PretrainConfig

if TYPE_CHECKING:
    from ..alignment.settings import PSATSettings
    from ..losses.alignment import AlignmentSettings

#: Settings of ``[pretrain]`` and the choices of PSAT that they change.
PSAT_CHOICES = {
    "psat_module": "module",
    "num_queries": "num_queries",
    "psat_width": "width",
    "psat_layers": "num_layers",
    "psat_heads": "num_heads",
    "psat_dropout": "dropout",
    "ffn_width": "ffn_width",
    "distance_bias": "distance_bias",
    "pooling": "pooling",
    "position_init": "position_init",
    "positions": "positions",
}
#: Losses that move mass between the pairs of a batch; of one pair they are constant.
TRANSPORT = ("ot", "partial-ot", "weighted-partial-ot", "transport-cost")


def preset_choices(method: str) -> dict[str, Any]:
    """Returns what a method's preset of PSAT chooses, under the names of ``[pretrain]``; nothing without a PSAT."""
    from ..alignment.presets import PSAT_PRESETS

    if method not in PSAT_PRESETS:
        return {}
    return {name: getattr(PSAT_PRESETS[method], own) for name, own in PSAT_CHOICES.items()}


def psat_settings(config: PretrainConfig) -> PSATSettings:
    """Returns the method's preset of PSAT with the choices that the user changed."""
    from ..alignment.presets import PSAT_PRESETS

    changed = {own: value for name, own in PSAT_CHOICES.items() if (value := getattr(config, name)) is not None}
    return replace(PSAT_PRESETS[config.method], **changed)


def alignment_settings(config: PretrainConfig) -> AlignmentSettings:
    """Returns what the alignment loss is made from; what its kind does not read stays at the loss's own default."""
    from ..losses.alignment import AlignmentSettings

    read = {name: value for name in ("alignment", "metric", "temperature") if (value := getattr(config, name))}
    return AlignmentSettings(
        **read,
        regularization=config.ot_regularization,
        mass=config.ot_mass,
        iterations=config.ot_iterations or None,
        learn_temperature=config.learn_temperature,
    )


def check_alignment(config: PretrainConfig) -> None:
    """Checks choices that do not go together.

    Args:
        config: Resolved settings.

    Raises:
        ConfigError: There is nothing to contrast, or PSAT cannot be built.
    """
    from ..alignment.settings import check

    pairs = config.recipe.batch_volumes * (config.slices_per_volume or 1)
    if pairs < 2:
        what = "a transport loss is constant" if config.alignment in TRANSPORT else "a contrast has nothing to contrast"
        raise ConfigError(
            f"with one volume and one slice a step {what}",
            "set pretrain.batch_volumes or pretrain.slices_per_volume to 2 or more",
        )
    settings = psat_settings(config)
    check(settings)
    if settings.module != "plane_slice" and (config.slices_per_volume or 1) > 1:
        raise ConfigError(
            f"psat_module = {settings.module} answers alike for all slices of a volume, and is asked for "
            f"{config.slices_per_volume} of them",
            "set pretrain.slices_per_volume to 1",
        )
