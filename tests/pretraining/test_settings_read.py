"""Methods read the settings that they name, and no others: seen while they work, not taken from their word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from learned_workspace import CROP, pretrain_config
from torch import nn

from med3dinsight.losses.alignment import AlignmentSettings, build_alignment_loss
from med3dinsight.pretraining.building import build_objective
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.methods import METHODS
from med3dinsight.pretraining.psat_choices import PSAT_CHOICES
from med3dinsight.pretraining.resolving import resolve, unread
from med3dinsight.pretraining.settings_read import ALIGNMENT, CHOICES, LOOKING, SPECIFIC
from med3dinsight.pretraining.targets import load_pool
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_store import VoxelStore

TRAINED = [name for name, method in METHODS.items() if method.build is not None]
#: Asked about before anything is built: there is no such form of these methods.
ONLY_REFUSED = {("multiview", "no_text"), ("clip3d", "no_text")}


class Spied(PretrainConfig):
    """Settings that remember which of them were looked at."""

    def __getattribute__(self, name: str) -> Any:
        if name in SPECIFIC:
            seen.add(name)
        return super().__getattribute__(name)


seen: set[str] = set()


def looked_at(workspace: Workspace, method: str, changes: dict[str, Any]) -> set[str]:
    """Settings that a run looks at from its data to its read-outs."""
    small = {"batch_volumes": 4, "crop_size": CROP, **changes}
    resolved = resolve(pretrain_config(method=method, slices_per_volume=None, **small))
    config = Spied(**resolved.model_dump())
    seen.clear()
    pool = load_pool(config, workspace, VoxelStore(workspace.prepared), METHODS[method].features)
    objective: Any = build_objective(config, replace(pool, texts=pool.images)).objective
    inputs = objective.draw(pool, 0)
    represented = objective.represent(inputs)
    objective.loss(represented, inputs)
    objective.read_out({name: value.detach() for name, value in represented.items()}, inputs)
    return set(seen)


@pytest.mark.parametrize("method", TRAINED)
def test_a_method_reads_what_it_names_and_nothing_else(ready_once: Path, method: str) -> None:
    reads = METHODS[method].reads
    looked = looked_at(Workspace(ready_once), method, {"reconstruction": "masked"} if "reconstruction" in reads else {})
    never_asked = {name for name in reads if (method, name) in ONLY_REFUSED}
    assert looked == reads - LOOKING - never_asked


def test_every_setting_that_is_not_for_all_is_read_by_some_method() -> None:
    assert frozenset.union(*(method.reads for method in METHODS.values())) == SPECIFIC
    assert set(PretrainConfig.model_fields) >= SPECIFIC


OTHER = {"metric": "psd", "regularization": 0.3, "mass": 0.7, "iterations": 1, "temperature": 0.9}
NAMES = {"ot_regularization": "regularization", "ot_mass": "mass", "ot_iterations": "iterations"}


@pytest.mark.parametrize("alignment", CHOICES["alignment"])
def test_an_alignment_loss_depends_on_the_settings_that_are_named_and_on_no_others(alignment: str) -> None:
    def outcome(**changes: Any) -> tuple[float, int]:
        torch.manual_seed(0)
        loss = build_alignment_loss(6, AlignmentSettings(alignment, **changes))
        for value in loss.parameters():  # a metric that starts as the Euclidean one would hide that there is one
            nn.init.constant_(value, 0.7) if value.ndim else None
        answers, targets = torch.randn(2, 8, 6).unbind(0)
        return loss(answers, targets).item(), sum(value.numel() for value in loss.parameters())

    differs = {"learn_temperature"} if outcome(learn_temperature=True) != outcome() else set()
    for name in ALIGNMENT - {"alignment", "learn_temperature"}:
        own = NAMES.get(name, name)
        if outcome(**{own: OTHER[own]}) != outcome():
            differs.add(name)
    assert differs == CHOICES["alignment"][alignment]


@pytest.mark.parametrize("module", CHOICES["psat_module"])
def test_a_psat_depends_on_the_settings_of_its_module_and_on_no_others(module: str) -> None:
    from med3dinsight.alignment import PlaneSliceAwareTransformer, PSATSettings

    def outcome(**changes: Any) -> tuple[int, bytes]:
        torch.manual_seed(0)
        psat = PlaneSliceAwareTransformer(8, 6, 6, PSATSettings(**{**small, **changes})).train()
        tokens, centres = torch.randn(2, 8, 8), torch.rand(8, 3)
        places = torch.tensor([[0, 2], [1, 1]]), torch.tensor([[0.31, 0.9], [0.2, 0.55]])
        for value in psat.parameters():
            nn.init.normal_(value) if value.abs().max() == 0 else None
        answers = psat(tokens, centres, *places)
        return sum(value.numel() for value in psat.parameters()), answers[0].detach().numpy().tobytes()

    small: dict[str, Any] = {"module": module, "width": 16, "num_queries": 3, "ffn_width": 8, "num_positions": 4}
    other = {
        "num_queries": 5,
        "psat_width": 32,
        "psat_layers": 2,
        "psat_heads": 2,
        "psat_dropout": 0.5,
        "ffn_width": 16,
        "pooling": "first",
        "distance_bias": False,
        "position_init": "normal",
        "positions": "table",
    }
    differs = {name for name, value in other.items() if outcome(**{PSAT_CHOICES[name]: value}) != outcome()}
    assert differs == CHOICES["psat_module"][module]
    config = pretrain_config(psat_module=module, slices_per_volume=None)
    assert set(other) & unread(config) == set(other) - differs
