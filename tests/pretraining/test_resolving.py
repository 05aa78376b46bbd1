from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from learned_workspace import CLASSES, copy_of, pretrain_config

from med3dinsight.errors import ConfigError
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.methods import METHODS
from med3dinsight.pretraining.resolving import default_of, resolve, shown, unread
from med3dinsight.pretraining.run import run
from med3dinsight.workspace import Workspace

LOOKING = {"readout_every": 2, "watch": ("cleo",), "held_out": ("cleo",)}


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"method": "mae", "alignment": "ot"}, "alignment = ot has no effect: the method mae does not", "clip3d"),
        ({"method": "mae", "num_queries": 8}, "num_queries = 8 has no effect", "insight, paper, extended"),
        ({"method": "mae", "no_text": True}, "no_text = True has no effect", "t3d"),
        ({"method": "mae", "shuffled_pairs": True}, "shuffled_pairs = True has no effect", "gtgm"),
        ({"method": "mae", "wrong_texts": 0.5}, "wrong_texts = 0.5 has no effect", "multiview"),
        ({"method": "mae", "captioner": "template"}, "captioner = template has no effect", "insight"),
        ({"method": "simclr", "reconstruction": "masked"}, "the method simclr does not read it", "extended-code"),
        ({"method": "simclr", "shift_voxels": 2}, "shift_voxels = 2 has no effect", "mae"),
        ({"method": "none", "readout_every": 5}, "readout_every = 5 has no effect", "leave it out"),
        ({"method": "gtgm", "match": "text"}, "match = text has no effect", "insight"),
        (
            {"alignment": "infonce", "ot_mass": 0.5},
            "not read with pretrain.alignment = infonce",
            "= partial-ot, weighted-partial-ot,",
        ),
        ({"ot_mass": 0.5}, "not read with pretrain.alignment = ot", "transport-cost"),
        ({"method": "extended", "temperature": 0.1}, "not read with pretrain.alignment = partial-ot", "infonce"),
        ({"mask_ratio": 0.5}, "not read with pretrain.reconstruction = none", "= masked"),
        ({"method": "extended-code", "mask_ratio": 0.5}, "not read with pretrain.reconstruction = plain", "masked"),
        ({"reconstruction_weight": 2.0}, "not read with pretrain.reconstruction = none", "plain, masked"),
        ({"psat_module": "linear", "num_queries": 8}, "not read with pretrain.psat_module = linear", "queries"),
        ({"psat_module": "queries", "distance_bias": True}, "pretrain.psat_module = queries", "plane_slice"),
        ({"no_text": True, "wrong_texts": 0.5}, "with pretrain.no_text no texts are matched", "take pretrain.no_text"),
        ({"match": "image", "wrong_texts": 0.5}, "with pretrain.match = image no texts", "pretrain.match = image"),
        ({"method": "t3d", "no_text": True, "text_dropout": 0.1}, "no texts are matched", "leave it out"),
        ({"watch": ("cleo",), "held_out": ("cleo",)}, "watch is set, and there are no read-outs", "readout_every"),
        ({"watch_classes": CLASSES}, "watch_classes is set, and there are no read-outs", "readout_every"),
        ({"readout_every": 2}, "nobody is watched", "pretrain.watch"),
        ({"method": "mae", **LOOKING}, "mae has no PSAT to ask", "pretrain.watch_classes"),
    ],
    ids=str,
)
def test_a_setting_that_would_do_nothing_is_refused_with_what_reads_it(
    changes: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(PretrainConfig(**changes))
    assert hint in caught.value.hint


@pytest.mark.parametrize("method", METHODS)
def test_defaults_are_never_refused_even_where_they_are_written_down(method: str) -> None:
    written = {name: default_of(name) for name in PretrainConfig.model_fields}
    config = PretrainConfig(**{**written, "method": method})
    resolved = resolve(config)
    assert resolve(resolved) == resolved
    assert unread(resolved) == unread(config)


def test_what_is_shown_is_what_the_run_goes_by_and_nothing_that_it_does_not_read() -> None:
    told = shown(PretrainConfig(method="insight", alignment="infonce"))
    assert None not in [value for name, value in told.items() if name not in ("init", "micro_batch")]
    assert (told["alignment"], told["temperature"], told["slices_per_volume"]) == ("infonce", 0.07, 8)
    assert (told["psat_module"], told["num_queries"], told["psat_width"]) == ("plane_slice", 32, 128)
    assert not {"ot_mass", "metric", "mask_ratio", "teacher_momentum", "local_views"} & set(told)
    extended = shown(PretrainConfig(method="extended"))
    assert (extended["metric"], extended["psat_layers"], extended["mask_block"]) == ("psd", 6, 8)
    assert "temperature" not in extended
    masked = shown(PretrainConfig(method="mae"))
    assert masked["mask_ratio"] == 0.75
    assert not {"captioner", "towers", "alignment", "num_queries", "no_text"} & set(masked)
    assert json.dumps([told, extended, masked])


def test_masks_of_patches_take_no_size_of_blocks(ready_once: Path, tmp_path: Path) -> None:
    work = copy_of(ready_once, tmp_path)
    with pytest.raises(ConfigError, match="mae hides the patches of vit_tiny"):
        run(pretrain_config(method="mae", encoder="vit_tiny", mask_block=4, steps=1), work)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"crop_size": 32}, "the crops have 16 voxels an edge"), ({"crops_per_volume": 9}, "a volume has 4 crops")],
)
@pytest.mark.parametrize("method", ["insight", "simmim"])
def test_other_crops_than_have_been_captioned_are_refused(
    ready_once: Path, method: str, changes: dict[str, Any], message: str
) -> None:
    work = Workspace(ready_once)
    with pytest.raises(ConfigError, match=f"has no effect: {message}") as caught:
        run(pretrain_config(method=method, run="other", held_out=("cleo",), **changes), work)
    assert "caption." in caught.value.hint


def test_the_crops_that_have_been_captioned_may_be_named(ready_once: Path, tmp_path: Path) -> None:
    work = copy_of(ready_once, tmp_path)
    settings = {"held_out": ("cleo",), "steps": 1, "crop_size": 16, "crops_per_volume": 4}
    assert run(pretrain_config(**settings), work).steps == 1
    facts = json.loads((work.pretraining / "insight" / "encoder.json").read_text())
    assert facts["image_size"] == 16
