"""Weights of others into an encoder: one function, and a table of what became of every tensor.

Our own files load strictly (:func:`med3dinsight.encoders.weights.load_weights`); this is for all others. What other
people's loaders do in silence is said here: what was renamed, adapted, skipped and left at its random start. Too
little, and nothing is loaded at all.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ConfigError, InputError
from .file_kinds import SAFETENSORS
from .load_report import LoadReport, Status, WeightRow
from .name_matching import Match, match_names
from .published.swin import OLD_MERGING_WARNING, twin_excess
from .seen import facts_of
from .shape_fitting import Fit, first_layer, fit_of, fit_tensor
from .weight_files import WeightFile, read_weight_file
from .weights import shared_names

#: Share of the encoder's parameters that must come from the file. Weights of the same network fill all of it; what
#: fills less than nine tenths is another network, or a part of one, and whoever means that says so.
MINIMUM_SHARE = 0.9

_MERGING = re.compile(r"layers\d+\.0\.downsample\.reduction\.weight")


class WeightsWarning(UserWarning):
    """Weights fit, and may still not compute what they were trained to, or do not fill everything."""


def load_pretrained(module: nn.Module, source: str | Path, *, minimum_share: float = MINIMUM_SHARE) -> LoadReport:
    """Loads weights of whatever origin into an encoder.

    Names may carry any prefix (``module.``, ``backbone.``, ``swinViT.`` ...) or be in a published layout
    (:data:`med3dinsight.encoders.key_layouts.LAYOUTS`); the state dict may lie in a checkpoint (``state_dict``,
    ``network_weights``, ``teacher`` ...). Position tables are interpolated to the encoder's grid; a first layer of
    other input channels is summed and shared out.

    Args:
        module: The encoder.
        source: A ``.safetensors`` file or a PyTorch checkpoint, which is read with ``weights_only=True``.
        minimum_share: Share of the encoder's parameters that must be found, 0..1.

    Returns:
        The table; its ``warnings`` are given as Python warnings too.

    Raises:
        ConfigError: ``minimum_share`` is no share.
        InputError: The file cannot be read, or less than ``minimum_share`` was found: then the encoder is as before.

    Warns:
        WeightsWarning: The weights may have been trained with another computation than the encoder's.
    """
    if not 0 <= minimum_share <= 1:
        raise ConfigError(f"minimum_share {minimum_share} is no share", "give a number from 0 to 1")
    file = read_weight_file(Path(source))
    shared = shared_names(module)
    own = module.state_dict()
    first = first_layer(module)
    match = match_names(own, file.tensors, _Fitting(own, first))
    placed = {name: _place(own[name], match, name, first) for name in match.sources}
    filled = {shared.get(name, name) for name in placed}
    parameters = {name: value.numel() for name, value in module.named_parameters()}
    share = sum(count for name, count in parameters.items() if name in filled) / max(sum(parameters.values()), 1)
    report = LoadReport(
        str(source),
        (*_taken(file, match, own, placed), *_skipped(file, match, own, placed), *_missing(own, shared, filled)),
        share,
        tuple(_notes(file, match)),
        () if _is_ours(file, match, own, shared) else tuple(_doubts(module, placed)),
    )
    if share < minimum_share or not placed:
        raise InputError(
            f"{source} fills {100 * share:.1f} % of this encoder, at least {100 * minimum_share:.4g} % are asked for",
            f"{_named_by_its_facts(Path(source))} {report.head()}",
        )
    _check_finite(file.path, placed)
    with torch.no_grad():
        for name, value in placed.items():
            own[name].copy_(value.tensor)
    for message in report.warnings:
        warnings.warn(message, WeightsWarning, stacklevel=2)
    return report


def _named_by_its_facts(path: Path) -> str:
    """Says which encoder a file of our own is of, where its facts tell; else asks."""
    told = facts_of(path) or {}
    if "encoder" not in told:
        return "is it another network or size?"
    return f"it was written as {told['encoder']}, image_size {told.get('image_size')}."


@dataclass(frozen=True)
class _Placed:
    """A tensor of the file in the shape of the encoder's, and what was done to it."""

    tensor: Tensor
    note: str


@dataclass(frozen=True)
class _Fitting:
    """Says how many elements of the encoder a tensor of the file fills."""

    own: Mapping[str, Tensor]
    first: frozenset[str]

    def __call__(self, name: str, tensor: Tensor) -> int:
        wanted = self.own[name]
        if _fit(name, tensor, wanted, self.first) is None:
            return 0
        return max(wanted.numel(), 1)


def _fit(name: str, tensor: Tensor, wanted: Tensor, first: frozenset[str]) -> Fit | None:
    if tensor.is_floating_point() != wanted.is_floating_point():
        return None
    return fit_of(name, tensor.shape, wanted.shape, name in first)


def _place(wanted: Tensor, match: Match, name: str, first: frozenset[str]) -> _Placed:
    tensor = match.state[match.sources[name]]
    fit = _fit(name, tensor, wanted, first)
    assert fit is not None  # the match holds only what fits
    return _Placed(*fit_tensor(tensor, wanted.shape, fit))


def _taken(file: WeightFile, match: Match, own: Mapping[str, Tensor], placed: Mapping[str, _Placed]) -> list[WeightRow]:
    rows = []
    for name, value in placed.items():
        tensor, file_name = match.state[match.sources[name]], _file_name(file, match, match.sources[name])
        status: Status = "loaded" if file_name == name else "renamed"
        rows.append(WeightRow(status, name, file_name, tuple(own[name].shape), tuple(tensor.shape), value.note))
    return rows


def _file_name(file: WeightFile, match: Match, key: str) -> str:
    """The file's name of what a layout renamed to ``key``; where the layout made it anew, that name in its words."""
    if not match.layout:
        return key
    tensor = match.state[key]
    return next((name for name, value in file.tensors.items() if value is tensor), f"{key} ({match.layout})")


def _skipped(
    file: WeightFile, match: Match, own: Mapping[str, Tensor], placed: Mapping[str, _Placed]
) -> list[WeightRow]:
    taken = {_file_name(file, match, match.sources[name]) for name in placed}
    same = {id(file.tensors[name]): name for name in taken if name in file.tensors}
    renamed = {id(value): key for key, value in match.state.items()} if match.layout else {}
    rows = []
    for file_name, tensor in file.tensors.items():
        if file_name in taken:
            continue
        key = renamed.get(id(tensor), None if match.layout else file_name)
        name = None
        if id(tensor) in same:
            note = f"the same tensor as {same[id(tensor)]}"
        elif key is None:
            note = f"the layout {match.layout} has no use for it, or joins it with others"
        else:
            name = match.dropped + key.removeprefix(match.prefix) if key.startswith(match.prefix) else None
            name = name if name in own else None
            note = "not of this encoder" if name is None else "shape or type does not fit"
        shape = None if name is None else tuple(own[name].shape)
        rows.append(WeightRow("skipped", name, file_name, shape, tuple(tensor.shape), note))
    rows += [WeightRow("skipped", None, name, None, None, "no tensor") for name in file.no_tensors]
    return rows


def _missing(own: Mapping[str, Tensor], shared: Mapping[str, str], filled: set[str]) -> list[WeightRow]:
    return [
        WeightRow("missing", name, None, tuple(value.shape), None, "stays as the encoder was built")
        for name, value in own.items()
        if name not in shared and name not in filled
    ]


def _notes(file: WeightFile, match: Match) -> list[str]:
    notes = []
    if file.container:
        notes.append(f"weights found under {file.container}")
    if file.others:
        notes.append(f"not read, though they hold tensors: {', '.join(file.others)}")
    if file.plan:
        network = file.plan.get("architecture_plans", {}).get("arch_class_name", "an unnamed network")
        notes.append(f"an nnssl file of {network}")
    if match.layout:
        notes.append(f"names in the published layout of {match.layout}")
    if match.prefix:
        notes.append(f"names behind the prefix {match.prefix}")
    if match.also:
        notes.append(f"as much stands behind {', '.join(match.also)}, which was not taken")
    return notes


def _is_ours(file: WeightFile, match: Match, own: Mapping[str, Tensor], shared: Mapping[str, str]) -> bool:
    """A file as this package writes them: every tensor under its name, and nothing else."""
    exact = all(name == key for name, key in match.sources.items()) and not match.layout
    return exact and file.path.suffix == SAFETENSORS and set(file.tensors) == set(own) - set(shared)


def _doubts(module: nn.Module, placed: Mapping[str, _Placed]) -> list[str]:
    if getattr(module, "merging", "") != "mended" or not any(_MERGING.search(name) for name in placed):
        return []
    excess = twin_excess({name: value.tensor.float() for name, value in placed.items()})
    hint = f"; they look like such weights (likeness {excess:.2f})" if excess is not None and excess > 0 else ""
    return [OLD_MERGING_WARNING + hint]


def _check_finite(path: Path, placed: Mapping[str, _Placed]) -> None:
    wrong = [name for name, value in placed.items() if not torch.isfinite(value.tensor).all()]
    if wrong:
        raise InputError(
            f"{path} holds weights that are no numbers: {wrong[0]} and {len(wrong) - 1} more",
            "take a checkpoint from before the training diverged, or download it again",
        )
