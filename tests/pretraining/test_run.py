from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from learned_workspace import KilledError, Toy, copy_of, finetune_config, killed_after, pretrain_config
from pydantic import ValidationError

from med3dinsight.alignment.aligned_encoder import load_aligned
from med3dinsight.errors import ConfigError, DivergenceError, LeakageError, WorkspaceError
from med3dinsight.pretraining import loop
from med3dinsight.pretraining.objective import Terms
from med3dinsight.pretraining.run import PretrainResult, run
from med3dinsight.pretraining.slice_alignment import SliceAlignment
from med3dinsight.training.run_log import read_log
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import NotDone, look_only, read_record

WEIGHTS = ("encoder.safetensors", "psat.safetensors")


def weights(workspace: Workspace, run_name: str) -> list[bytes]:
    return [(workspace.pretraining / run_name / name).read_bytes() for name in WEIGHTS]


@pytest.fixture
def work(ready_once: Path, tmp_path: Path) -> Workspace:
    """Anna and bert to learn from, cleo held out."""
    return copy_of(ready_once, tmp_path)


def config(**changes: Any) -> Any:
    return pretrain_config(**{"held_out": ("cleo",), **changes})


def test_it_learns_what_lies_at_a_plane_and_position_and_cannot_from_shuffled_pairs(work: Workspace) -> None:
    changes = {"match": "text", "steps": 50, "batch_volumes": 2, "slices_per_volume": 8, "psat_width": 64}
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


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the first checkpoint, between two, at one, and after the last step."""
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    settings = {"steps": 5, "checkpoint_every": 2}

    def rows(name: str) -> list[dict[str, Any]]:
        return [{**row, "seconds": 0} for row in read_log(work.pretraining / name / "log.jsonl")]

    undisturbed = run(config(run="undisturbed", **settings), work)
    for step, left in ((1, [1, 2, 3, 4, 5]), (3, [3, 4, 5]), (4, [5]), (5, [])):
        name = f"killed-{step}"
        with pytest.raises(KilledError):
            run(config(run=name, **settings), work, progress=killed_after(step))
        assert read_record(work.pretraining / name) is None
        done: list[int] = []
        resumed = run(config(run=name, **settings), work, progress=lambda n, total, note="", done=done: done.append(n))
        assert done == left
        assert weights(work, name) == weights(work, "undisturbed")
        assert resumed.final_loss == undisturbed.final_loss
        assert rows(name) == rows("undisturbed")


def test_a_kill_while_the_weights_are_written_is_made_good(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run(config(run="undisturbed"), work)
    with monkeypatch.context() as patch:
        patch.setattr(
            "med3dinsight.alignment.aligned_encoder.write_json", lambda *_: (_ for _ in ()).throw(KilledError)
        )
        with pytest.raises(KilledError):
            run(config(run="killed"), work)
    assert read_record(work.pretraining / "killed") is None
    run(config(run="killed"), work)
    assert weights(work, "killed") == weights(work, "undisturbed")
    assert load_aligned(work.pretraining / "killed")[1]["seed"] == 0


def test_a_second_run_finds_all_done_and_takes_no_torch(work: Workspace) -> None:
    first = run(config(), work)
    before = weights(work, "insight")
    code = """
import json, sys
from med3dinsight.pretraining import run
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.workspace import Workspace
result = run(PretrainConfig(**json.loads(sys.argv[2])), Workspace(sys.argv[1]))
print(json.dumps([result.__dict__, "torch" in sys.modules]))
"""
    command = [sys.executable, "-c", code, str(work.root), config().model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result, torch_came = json.loads(done.stdout)
    assert result == {**first.__dict__, "done_before": True}
    assert not torch_came
    assert weights(work, "insight") == before


def test_a_look_says_what_is_left_and_does_no_work(work: Workspace) -> None:
    with look_only(), pytest.raises(NotDone):
        run(config(), work)
    assert not (work.pretraining / "insight").exists()
    run(config(), work)
    with look_only():
        assert run(config(), work).done_before
        with pytest.raises(NotDone):
            run(config(seed=1), work)


def test_device_and_threads_are_not_part_of_what_a_run_is(work: Workspace) -> None:
    run(config(), work)
    before = torch.get_num_threads()
    assert run(config(threads=before, device="auto"), work).done_before


def test_the_same_seed_gives_the_same_weights_and_another_one_others(work: Workspace) -> None:
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        run(config(run=name, seed=seed, steps=2), work)
    assert weights(work, "one") == weights(work, "again")
    assert weights(work, "one")[0] != weights(work, "other")[0]


def test_other_settings_under_the_same_name_start_anew_and_are_not_complete_before_their_end(work: Workspace) -> None:
    run(config(steps=2), work)
    with pytest.raises(KilledError):
        run(config(steps=3), work, progress=killed_after(1))
    # The log and checkpoint are the new run's now: the old one must not count as complete.
    assert read_record(work.pretraining / "insight") is None
    run(config(run="fresh", steps=3), work)
    assert not run(config(steps=3), work).done_before
    assert weights(work, "insight") == weights(work, "fresh")


def test_the_run_says_whom_it_has_seen(work: Workspace) -> None:
    run(config(), work)
    facts = json.loads((work.pretraining / "insight" / "encoder.json").read_text())
    manifest = [json.loads(line) for line in (work.prepared / "manifest.jsonl").read_text().splitlines()]
    assert facts["subjects"] == ["anna", "bert"]
    assert facts["voxel_sha256"] == sorted(row["voxel_sha256"] for row in manifest if row["subject"] != "cleo")
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
    groups = loop.make_optimizer(model, pretrain_config(weight_decay=0.3)).param_groups
    decay = {id(value): group["weight_decay"] for group in groups for value in group["params"]}
    assert set(decay) == {id(value) for value in model.parameters()}
    tables = ("psat.queries", "psat.position.table", "encoder.vit.patch_embedding.position_embeddings")
    for name, value in model.named_parameters():
        assert decay[id(value)] == (0.0 if value.ndim < 2 or name in tables else 0.3), name


@pytest.mark.parametrize("name", ["..", "../first", "a/b", ".hidden", "-x", ""])
def test_a_run_is_never_written_outside_of_its_place(name: str) -> None:
    with pytest.raises(ValidationError):
        pretrain_config(run=name)
    with pytest.raises(ValidationError):
        finetune_config(run=name)


def test_a_diverging_run_stops_before_the_weights_are_ruined(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    true_loss, calls = SliceAlignment.loss, 0

    def diverging(*args: Any) -> Terms:
        nonlocal calls
        calls += 1
        terms = true_loss(*args)
        return replace(terms, total=terms.total * (float("inf") if calls == 4 else 1))

    run(config(run="undisturbed", steps=6), work)
    with monkeypatch.context() as patch:
        patch.setattr(SliceAlignment, "loss", diverging)
        with pytest.raises(DivergenceError, match="became inf after 3 steps"):
            run(config(steps=6, checkpoint_every=2), work)
    done: list[int] = []
    run(config(steps=6, checkpoint_every=2), work, progress=lambda n, total, note="": done.append(n))
    assert done == [3, 4, 5, 6]
    assert weights(work, "insight") == weights(work, "undisturbed")


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"encoder": "conv_tinny"}, "no encoder called conv_tinny", "did you mean conv_tiny?"),
        ({"method": "papers"}, "no pre-training method called papers", "did you mean paper?"),
        ({"held_out": ("dora",)}, "held-out subject dora is not in the workspace", "anna, bert, cleo"),
        ({"held_out": ("anna", "bert", "cleo")}, "every subject is held out", "leave some"),
        ({"batch_volumes": 1, "slices_per_volume": 1}, "nothing to contrast", "2 or more"),
        ({"device": "gpu"}, "no device called gpu", "cuda:N"),
    ],
)
def test_settings_that_cannot_be_are_refused(work: Workspace, changes: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        run(config(**changes), work)
    assert hint in caught.value.hint
    assert not (work.pretraining / "insight" / "encoder.safetensors").exists()


def test_a_crop_that_does_not_fit_the_encoder_is_refused_with_sizes_that_do(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learned_workspace.CROP", 20)
    work = toy.ready("anna", "bert")
    with pytest.raises(ConfigError, match="20 voxels cannot be cut into patches of 16") as caught:
        run(pretrain_config(encoder="unetr_tiny"), work)
    assert "such as 16 or 32" in caught.value.hint


def test_texts_and_towers_that_are_not_embedded_are_refused_with_the_verb_to_run(work: Workspace) -> None:
    for changes, verb in (
        ({"captioner": "template"}, "embed --towers toy --captioner template"),
        ({"towers": "minilm-lite"}, "embed --towers minilm-lite --captioner tissue"),
    ):
        with pytest.raises(WorkspaceError, match="is not complete") as caught:
            run(config(**changes), work)
        assert verb in caught.value.hint
    with pytest.raises(ConfigError, match="no towers called clip"):
        run(config(towers="clip"), work)


def test_the_voxels_of_a_person_held_out_under_another_name_are_refused(toy: Toy) -> None:
    toy.add("double", seed=7)
    toy.add("cleo", seed=7)
    work = toy.ready("anna", held_out=("cleo",))
    with pytest.raises(LeakageError, match="subject double has the very voxels of held-out cleo-image"):
        run(pretrain_config(held_out=("cleo",)), work)
    toy.embed(held_out=("cleo", "double"))
    assert run(pretrain_config(held_out=("cleo", "double")), work).steps == 4


def test_projections_fitted_on_a_person_held_out_are_refused(toy: Toy) -> None:
    work = toy.ready("anna", "bert", "cleo")
    with pytest.raises(LeakageError, match="fitted on held-out subject cleo") as caught:
        run(config(), work)
    assert "--held-out cleo" in caught.value.hint
    toy.embed(held_out=("cleo",))
    assert run(config(), work).steps == 4


def test_features_of_other_volumes_or_texts_than_there_are_now_are_refused(toy: Toy) -> None:
    """Training would go on with voxels and features that do not belong together, and nobody would know."""
    work = toy.ready("anna", "bert", "cleo", held_out=("cleo",))
    toy.add("bert", seed=99)
    toy.prepare()
    with pytest.raises(WorkspaceError, match="features/toy/tissue was made from prepared as it was before") as caught:
        run(config(), work)
    assert "embed --towers toy --captioner tissue` again" in caught.value.hint
    toy.caption(text=lambda ref: f"plane={int(ref.plane)} at=0.5")
    with pytest.raises(WorkspaceError, match="was made from"):
        run(config(), work)
    toy.embed(held_out=("cleo",))
    assert run(config(), work).steps == 4


def test_two_processes_never_write_one_run(work: Workspace) -> None:
    with work.lock("pretraining-insight"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("med3dinsight.workspace.workspace.time.monotonic", iter(range(0, 100, 10)).__next__)
        with pytest.raises(WorkspaceError, match="in use by process"):
            run(config(), work)


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


def test_other_crops_are_another_run_for_methods_that_draw_crops_alone(work: Workspace) -> None:
    settings = {"method": "simmim", "mask_block": 4, "steps": 1, "crop_size": 16, "crops_per_volume": 2}
    run(config(run="masked", **settings), work)
    assert run(config(run="masked", **settings), work).done_before
    (work.captions / "ledger.sqlite").rename(work.captions / "away")
    assert not run(config(run="masked", **settings), work).done_before
