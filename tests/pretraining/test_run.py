"""A pre-training run: what it learns, leaves and says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from learned_workspace import Toy, pretrain_config, tensors_of

from med3dinsight.alignment.aligned_encoder import load_aligned
from med3dinsight.pretraining import loop
from med3dinsight.pretraining.resolving import resolve
from med3dinsight.pretraining.run import PretrainResult, run
from med3dinsight.training.run_log import read_log
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import read_record

WEIGHTS = ("encoder.safetensors", "psat.safetensors")


def weights(workspace: Workspace, run_name: str) -> list[dict[str, bytes]]:
    return [tensors_of(workspace.pretraining / run_name / name) for name in WEIGHTS]


def config(**changes: Any) -> Any:
    return pretrain_config(**{"held_out": ("cleo",), **changes})


def test_it_learns_what_lies_at_a_plane_and_position_and_cannot_from_shuffled_pairs(work: Workspace) -> None:
    changes = {"match": "text", "steps": 50, "batch_volumes": 2, "slices_per_volume": 8, "psat_width": 64}
    changes["alignment"] = "infonce"  # whose loss has a chance level
    losses = {
        shuffled: run(config(run=f"shuffled-{shuffled}", shuffled_pairs=shuffled, **changes), work).final_loss
        for shuffled in (False, True)
    }
    chance = math.log(16)
    # Slices at the same place of two crops have the same text here, so that it cannot be 0.
    assert losses[False] < 0.75 * chance < 0.95 * chance < losses[True]


def test_the_result_has_the_keys_of_the_contract_and_names_the_weights(work: Workspace) -> None:
    result = run(config(run="named", steps=3), work)
    assert {"run", "encoder", "method", "steps", "final_loss", "pairs_per_second", "checkpoint"} <= set(result.__dict__)
    assert (result.run, result.encoder, result.method, result.steps) == ("named", "conv_tiny", "insight", 3)
    assert Path(result.checkpoint) == work.pretraining / "named" / "encoder.safetensors"
    assert Path(result.checkpoint).exists()
    assert result.pairs_per_second > 0
    assert math.isfinite(result.final_loss)
    record = read_record(work.pretraining / "named")
    assert record is not None
    assert PretrainResult(**record.result) == result


def test_device_and_threads_are_not_part_of_what_a_run_is(work: Workspace) -> None:
    run(config(), work)
    before = torch.get_num_threads()
    assert run(config(threads=before, device="auto"), work).done_before


def test_the_same_seed_gives_the_same_weights_and_another_one_others(work: Workspace) -> None:
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        run(config(run=name, seed=seed, steps=2), work)
    assert weights(work, "one") == weights(work, "again")
    assert weights(work, "one")[0] != weights(work, "other")[0]


def test_the_run_says_whom_it_has_seen(work: Workspace) -> None:
    run(config(), work)
    facts = json.loads((work.pretraining / "insight" / "encoder.json").read_text())
    manifest = [json.loads(line) for line in (work.prepared / "manifest.jsonl").read_text().splitlines()]
    assert facts["subjects"] == ["anna", "bert"]
    assert facts["voxel_sha256"] == sorted(row["voxel_sha256"] for row in manifest if row["subject"] != "cleo")
    seen = sorted(row["content_sha256"][:16] for row in manifest if row["subject"] != "cleo")
    assert facts["content_sha256"] == seen
    assert all(len(digits) == 16 for digits in seen)
    assert (facts["captioner"], facts["towers"], facts["match"], facts["image_size"]) == ("tissue", "toy", "both", 16)


def test_the_log_shows_loss_rate_and_read_outs(work: Workspace) -> None:
    run(config(steps=12), work)
    rows = read_log(work.pretraining / "insight" / "log.jsonl")
    assert [row["step"] for row in rows] == [10, 12]
    for row in rows:
        assert 0 <= row["image_accuracy"] <= 1
        assert 0 <= row["text_accuracy"] <= 1
        assert 1 <= row["spread"] <= 8
        assert row["gradient_norm"] > 0
    assert rows[-1]["learning_rate"] < rows[0]["learning_rate"]


@pytest.mark.parametrize(("match", "untouched"), [("image", "to_text"), ("text", "to_image")])
def test_matching_one_side_leaves_the_others_head_alone(work: Workspace, match: str, untouched: str) -> None:
    run(config(run="start", steps=1, learning_rate=1e-12, warmup_steps=0), work)
    run(config(run=match, match=match), work)
    start, trained = (load_aligned(work.pretraining / name)[0].psat.state_dict() for name in ("start", match))
    same = {name.split(".")[0] for name, value in trained.items() if torch.allclose(value, start[name], atol=1e-9)}
    assert untouched in same
    assert {"queries", "input"}.isdisjoint(same)


@pytest.mark.parametrize("encoder", ["vit_tiny", "unetr_tiny"])
def test_transformers_are_pretrained_too(work: Workspace, encoder: str) -> None:
    result = run(config(encoder=encoder, steps=1), work)
    model, facts = load_aligned(work.pretraining / "insight")
    assert facts["encoder"] == result.encoder == encoder
    assert model.encoder.image_size == 16


def test_cubes_are_taken_whole(toy: Toy) -> None:
    work = toy.ready("anna", "bert", protocol="cube128", cube_size=24)
    run(pretrain_config(), work)
    assert json.loads((work.pretraining / "insight" / "encoder.json").read_text())["image_size"] == 24


@pytest.mark.parametrize("encoder", ["conv_tiny", "vit_tiny"])
def test_norms_biases_queries_slopes_and_positions_are_not_decayed(encoder: str) -> None:
    from med3dinsight.alignment import PSATSettings
    from med3dinsight.alignment.aligned_encoder import AlignedEncoder

    model = AlignedEncoder(encoder, 16, 8, PSATSettings(width=32))
    groups = loop.make_optimizer(model, resolve(pretrain_config(weight_decay=0.3)).recipe).param_groups
    decay = {id(value): group["weight_decay"] for group in groups for value in group["params"]}
    assert set(decay) == {id(value) for value in model.parameters()}
    tables = ("psat.queries", "psat.position.table", "encoder.vit.patch_embedding.position_embeddings")
    for name, value in model.named_parameters():
        assert decay[id(value)] == (0.0 if value.ndim < 2 or name in tables else 0.3), name


def test_transport_to_the_optimum_is_another_run_and_learns_too(work: Workspace) -> None:
    settings = {"method": "extended", "reconstruction": "none", "slices_per_volume": 4, "psat_layers": 1, "steps": 2}
    losses = {
        iterations: run(config(run=f"ot-{iterations}", ot_iterations=iterations, **settings), work).final_loss
        for iterations in (0, 200, 1)
    }
    assert losses[0] == pytest.approx(losses[200], abs=0.05)
    assert losses[1] != losses[200]
    log = read_log(work.pretraining / "ot-0" / "log.jsonl")
    assert log[-1]["loss"] - log[-1]["loss_above_floor"] == pytest.approx(2 * math.log(8 / 0.95))
