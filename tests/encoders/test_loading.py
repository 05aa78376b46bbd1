"""Weights of others: prefixes, containers and kinds of files."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import behind, same, small
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.loading import load_pretrained
from med3dinsight.encoders.name_matching import match_names
from med3dinsight.encoders.weights import weights_bytes

PARTS = ("module", "backbone", "swinViT", "encoder", "model", "_orig_mod", "student", "a0")


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.ckpt", "weights.safetensors"])
def test_a_file_of_the_same_network_loads_whole_from_every_kind_of_file(file, name: str) -> None:
    state = small().state_dict()
    other = small(seed=1)
    report = load_pretrained(other, file(state, name))
    assert same(other, state)
    assert report.share == 1
    assert report.exact
    assert len(report.of("loaded")) == len(state)
    assert report.notes == ()


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "swinViT.", "encoder.", "module.model.encoder.", "x.y1."])
def test_prefixes_are_found_whatever_stands_beside_them(file, prefix: str) -> None:
    state = small().state_dict()
    other = small(seed=1)
    report = load_pretrained(other, file({**behind(prefix, state), "decoder.weight": torch.rand(3), "epoch": 3}))
    assert same(other, state)
    assert not report.of("loaded")
    assert {row.file_name: row.name for row in report.of("renamed")} == {prefix + name: name for name in state}
    assert {row.file_name: row.note for row in report.of("skipped")} == {
        "decoder.weight": "not of this encoder",
        "epoch": "no tensor",
    }
    assert report.notes == (f"names behind the prefix {prefix}",)


@given(st.lists(st.sampled_from(PARTS), max_size=4), st.lists(st.sampled_from(PARTS), max_size=3), st.data())
def test_any_prefix_and_any_depth_of_the_encoder_is_undone(theirs: list[str], ours: list[str], data) -> None:
    names = ["stem.weight", "stages.0.conv.weight", "stages.0.conv.bias", "stages.1.conv.weight", "norm.bias"]
    values = {name: torch.full((2,), float(number)) for number, name in enumerate(names)}
    # Names may also share a beginning on one side only: a file of a part, an encoder that wraps it.
    own = behind("".join(f"{part}." for part in ours), values)
    state = behind("".join(f"{part}." for part in theirs), values)
    noise = data.draw(st.lists(st.sampled_from(["head.weight", "decoder.0.bias", "norm2.bias"]), unique=True))
    state |= {name: torch.zeros(2) for name in noise}
    match = match_names(own, state, lambda name, value: value.numel())
    assert {name: state[key][0].item() for name, key in match.sources.items()} == {
        name: value[0].item() for name, value in own.items()
    }


def test_names_of_a_part_find_their_place_in_an_encoder_that_wraps_it(file) -> None:
    """MONAI's own ViT has no ``vit.`` before its names."""
    state = small().state_dict()
    other = small(seed=1)
    report = load_pretrained(other, file({name.removeprefix("vit."): value for name, value in state.items()}))
    assert same(other, state)
    assert len(report.of("renamed")) == len(state)


@pytest.mark.parametrize(
    ("wrap", "container", "others"),
    [
        (lambda s: {"state_dict": s, "epoch": 1}, "state_dict", ""),
        (lambda s: {"checkpoint": {"model": s}}, "checkpoint > model", ""),
        (
            lambda s: {"model_state_dict": s, "optimizer": {"state": {0: {"m": torch.rand(2)}}}},
            "model_state_dict",
            "opt",
        ),
        (lambda s: {"student": {k: v + 1 for k, v in s.items()}, "teacher": s}, "teacher", "student"),
        (lambda s: {"network_weights": behind("module.", s), "nnssl_adaptation_plan": {}}, "network_weights", ""),
    ],
)
def test_state_dicts_are_found_in_their_containers_and_what_was_not_read_is_said(file, wrap, container, others) -> None:
    state = small().state_dict()
    other = small(seed=1)
    report = load_pretrained(other, file(wrap(state)))
    assert same(other, state)
    assert report.notes[0] == f"weights found under {container}"
    assert (others == "") != any("not read" in note and others in note for note in report.notes)


def test_a_teacher_is_preferred_to_its_student_and_the_other_choice_is_said(file) -> None:
    state = small().state_dict()
    other = small(seed=1)
    noise = {name: value + 1 for name, value in state.items()}
    report = load_pretrained(other, file({**behind("student.", noise), **behind("teacher.", state)}))
    assert same(other, state)
    assert "as much stands behind student., which was not taken" in report.notes


def test_checkpoints_of_old_versions_of_pytorch_are_read(tmp_path: Path) -> None:
    """The kind of file before 1.6, in which MedicalNet and many others were published."""
    state, other = small().state_dict(), small(seed=1)
    torch.save({"state_dict": state}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    load_pretrained(other, tmp_path / "old.pth")
    assert same(other, state)


def test_plain_data_beside_the_weights_is_no_obstacle(file) -> None:
    state = small().state_dict()
    other = small(seed=1)
    plain = {"best": np.float64(0.5), "curve": np.zeros(3), "args": argparse.Namespace(lr=1.0), "step": 3}
    load_pretrained(other, file({"state_dict": state, **plain}))
    assert same(other, state)


def test_our_own_files_with_tensors_of_two_names_load_whole(tmp_path: Path) -> None:
    trained, other = create_encoder("resenc_tiny"), create_encoder("resenc_tiny")
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(trained))
    report = load_pretrained(other, path)
    assert same(other, trained.state_dict())
    assert report.complete


def test_reading_a_checkpoint_needs_no_file_of_a_module_of_ours() -> None:
    """What is written for this package is tensors alone, which anybody reads."""
    buffer = io.BytesIO(weights_bytes(small()))
    assert buffer.getvalue()[8:9] == b"{"
