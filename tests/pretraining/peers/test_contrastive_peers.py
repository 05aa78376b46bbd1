from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learned_workspace import copy_of, pretrain_config

from med3dinsight.errors import ConfigError
from med3dinsight.losses.barlow import barlow_twins
from med3dinsight.losses.infonce import infonce
from med3dinsight.pretraining.forecast import forecast
from med3dinsight.pretraining.gradient_cache import backward
from med3dinsight.pretraining.peers.gtgm import nearest_to_centre
from med3dinsight.pretraining.peers.voco import octant_overlaps
from med3dinsight.pretraining.resolving import resolve


@pytest.mark.parametrize(
    ("method", "temperature", "momentum"), [("simclr", 0.1, None), ("moco", 0.2, 0.99), ("dino", 0.1, 0.996)]
)
def test_presets_are_the_papers_and_can_be_set(method: str, temperature: float, momentum: float | None) -> None:
    config = resolve(pretrain_config(method=method))
    assert config.temperature == temperature
    assert momentum is None or config.teacher_momentum == momentum
    assert resolve(pretrain_config(method=method, temperature=0.5)).temperature == 0.5


@pytest.mark.parametrize("method", ["moco", "dino"])
def test_teachers_follow_and_get_no_gradient(make, method: str) -> None:
    objective, pool = make(method, steps=10, teacher_momentum=0.9)
    backward(objective, objective.draw(pool, 0), 2, 5, contextlib.nullcontext)
    teachers = {name: value for name, value in objective.named_parameters() if name.startswith("teacher")}
    assert teachers
    assert all(value.grad is None for value in teachers.values())
    name = "encoder.vit.norm.weight"
    student, teacher = objective.encoder.vit.norm.weight, objective.teacher.module.vit.norm.weight
    with torch.no_grad():
        student += 1
    before = teacher.clone()
    objective.after_step(0)
    assert torch.allclose(teacher, before + 0.1), name


def test_dinos_centre_follows_the_teachers_mean_and_its_temperature_rises(make, train) -> None:
    objective, pool = make("dino", steps=10)
    assert objective.teacher_temperature == pytest.approx(0.04)
    inputs = objective.draw(pool, 0)
    represented = objective.represent(inputs)
    objective.loss(represented, inputs)
    expected = 0.1 * objective.teacher_head.module(represented["teacher"]).mean((0, 1))
    assert not objective.centre.any(), "the centre moves when the step is done"
    objective.after_step(0)
    assert torch.allclose(objective.centre, expected, atol=1e-6)
    train(objective, pool, 5)
    assert objective.teacher_temperature == pytest.approx(0.07)


def test_dinos_student_also_sees_local_views_of_half_the_edge(make) -> None:
    objective, pool = make("dino", local_views=3)
    inputs = objective.draw(pool, 0)
    assert inputs["local"].shape == (4, 3, 1, 8, 8, 8)
    represented = objective.represent(inputs)
    assert (represented["student"].shape, represented["teacher"].shape) == ((4, 5, 96), (4, 2, 96))
    assert objective.pairs_per_volume == 5
    assert torch.isfinite(objective.loss(represented, inputs).total)


@pytest.mark.parametrize("changes", [{"method": "voco"}, {"method": "dino", "local_views": 2}])
def test_encoders_that_do_not_take_the_halves_are_refused_with_sizes(make, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="does not take 8") as caught:
        make(encoder="vit", **changes)
    assert "16 or 32" in caught.value.hint


def test_overlaps_are_counted_voxels() -> None:
    """Against counting in a volume whose octants are numbered."""
    half, numbered = 6, np.zeros((12, 12, 12), dtype=int)
    for number, corner in enumerate(np.ndindex(2, 2, 2)):
        x, y, z = (6 * side for side in corner)
        numbered[x : x + 6, y : y + 6, z : z + 6] = number
    for origin in [(0, 0, 0), (6, 0, 6), (1, 2, 5), (3, 3, 3)]:
        x, y, z = origin
        inside = np.bincount(numbered[x : x + 6, y : y + 6, z : z + 6].ravel(), minlength=8) / 6**3
        assert np.allclose(octant_overlaps(np.array(origin), half), inside, atol=1e-6)


def test_vocos_cubes_are_the_octants_and_a_cube_of_their_size(make) -> None:
    objective, pool = make("voco", contrast_augmentation=0.0)
    inputs = objective.draw(pool, 0)
    assert inputs["cubes"].shape == (4, 9, 1, 8, 8, 8)
    assert torch.allclose(inputs["overlaps"].sum(1), torch.ones(4))
    octants = inputs["cubes"][:, :8, 0].unflatten(1, (2, 2, 2))
    whole = octants.permute(0, 1, 4, 2, 5, 3, 6).reshape(4, 16, 16, 16)
    crops = [pool.voxels(crop) for rows in pool.rows.values() for crop in rows]
    assert all(any(np.array_equal((volume.numpy() * 255).round(), crop) for crop in crops) for volume in whole)


def test_gtgm_takes_the_slice_nearest_to_the_centre_and_draws_among_equals(make) -> None:
    _, pool = make("gtgm")
    crop = next(iter(pool.rows["anna"]))
    drawn = [nearest_to_centre(np.random.default_rng(seed), pool, crop) for seed in range(40)]
    away = {row: abs(pool.slices[row].relative_position - 0.5) for row in pool.rows_of(crop)}
    assert {away[row] for row in drawn} == {min(away.values())}
    assert len({pool.slices[row].plane for row in drawn}) > 1


def test_gtgm_without_texts_is_barlow_twins_and_with_them_the_sum(make) -> None:
    for no_text in (False, True):
        objective, pool = make("gtgm", no_text=no_text)
        inputs = objective.draw(pool, 0)
        represented = {"views": objective.represent(inputs)["views"].detach()}
        first, second = represented["views"].unbind(1)
        views = barlow_twins(first, second)
        texts = infonce(first, inputs["text"], 0.07) + infonce(second, inputs["text"], 0.07)
        expected = views if no_text else texts + 0.01 * views
        assert objective.loss(represented, inputs).total.item() == pytest.approx(expected.item(), rel=1e-6)
        assert ("text_accuracy" in objective.read_out(represented, inputs)) is not no_text


def test_a_volumes_text_is_the_mean_of_its_crops_slices(make) -> None:
    objective, pool = make("clip3d", contrast_augmentation=0.0, batch_volumes=3)
    numbered = replace(pool, texts=torch.eye(8)[torch.arange(len(pool.slices)) % 8])
    inputs = objective.draw(numbered, 0)
    crops = {crop: pool.voxels(crop) for rows in pool.rows.values() for crop in rows}
    for volume, text in zip(inputs["volumes"], inputs["text"], strict=True):
        voxels = (volume[0].numpy() * 255).round()
        crop = next(crop for crop, stored in crops.items() if np.array_equal(stored, voxels))
        expected = torch.bincount(torch.tensor(pool.rows_of(crop)) % 8, minlength=8) / len(pool.rows_of(crop))
        assert torch.allclose(text, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "clip3d", "no_text": True}, "without texts nothing is left of clip3d"),
        ({"method": "simclr", "batch_volumes": 1}, "simclr compares volumes and cannot learn from 1"),
        ({"method": "gtgm", "batch_volumes": 1}, "gtgm compares volumes"),
        ({"method": "simsiam"}, "no pre-training method called simsiam"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(pretrain_config(**changes))


@pytest.mark.parametrize("method", ["mae", "moco", "t3d"])
def test_memory_is_forecast_without_looking_at_values(ready_once: Path, tmp_path: Path, method: str) -> None:
    work = copy_of(ready_once, tmp_path)
    small, large = (
        forecast(pretrain_config(method=method, encoder="vit_tiny", batch_volumes=size), work) for size in (2, 16)
    )
    # What the process holds beside the step depends on what ran before in it.
    own = [row["peak_memory_bytes"] - row["of_which_process"] for row in (small, large)]
    assert own[0] < own[1]
