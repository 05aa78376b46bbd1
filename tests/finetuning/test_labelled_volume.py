"""Crops out of the store: those that were drawn when volumes and places of voxels were held, and nothing is held."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learned_workspace import finetune_config, make_scan
from numpy.typing import NDArray
from torch import Tensor

from med3dinsight.errors import InputError
from med3dinsight.finetuning.config import FinetuneConfig
from med3dinsight.finetuning.crops import draw_crops
from med3dinsight.finetuning.initial import Init, build_network
from med3dinsight.finetuning.labelled_volume import labelled_volume
from med3dinsight.finetuning.loop import train
from med3dinsight.finetuning.nnunet_crops import draw_nnunet_crops
from med3dinsight.finetuning.people import People
from med3dinsight.finetuning.segmentation import SegmentationTask
from med3dinsight.training.augmentation import contrast_curve
from med3dinsight.training.intensity_augmentation import change_intensities, draw_intensity_plan
from med3dinsight.training.seeding import step_generator
from med3dinsight.training.spatial_augmentation import draw_placement, placed_crop
from med3dinsight.types import silent
from med3dinsight.workspace.voxel_store import VoxelStore, cut

from .conftest import ENTRIES, Arrays, write_store

SPACING_MM = (1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Held:
    """A case with all that crops can be drawn by: voxels, class indices, the flat index of every foreground voxel."""

    voxels: NDArray[np.uint8]
    label: NDArray[np.uint8]

    @property
    def places(self) -> list[NDArray[np.int64]]:
        places = [np.flatnonzero(self.label == index) for index in (1, 2)]
        return [place for place in places if len(place)]

    def around(self, rng: np.random.Generator) -> NDArray[np.int64]:
        place = self.places[rng.integers(len(self.places))]
        return np.array(np.unravel_index(place[rng.integers(len(place))], self.voxels.shape))

    def reach(self, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        shape = np.array(self.voxels.shape)
        low = np.minimum(0, (shape - size) // 2)
        return low, np.maximum(low, shape - size)


def draw_plainly(volumes: list[Held], config: FinetuneConfig, step: int) -> tuple[Tensor, Tensor]:
    rng, size = step_generator(config.seed, step, "crops"), config.patch_size
    images, labels = [], []
    for _ in range(config.batch_size):
        volume = volumes[rng.integers(len(volumes))]
        low, high = volume.reach(size)
        if volume.places and rng.random() < config.foreground_share:
            centre = volume.around(rng)
            jitter = rng.integers(-size // 4, size // 4 + 1, 3)
            origin = np.clip(centre + jitter - size // 2, low, high)
        else:
            origin = rng.integers(low, high + 1)
        curve, start = contrast_curve(rng, config.contrast_augmentation), tuple(origin.tolist())
        images.append(curve[cut(volume.voxels, start, (size,) * 3)])
        labels.append(cut(volume.label, start, (size,) * 3).astype(np.int64))
    return torch.from_numpy(np.stack(images))[:, None], torch.from_numpy(np.stack(labels))


def draw_as_nnunet_plainly(volumes: list[Held], config: FinetuneConfig, step: int) -> tuple[Tensor, Tensor]:
    rng, size = step_generator(config.seed, step, "nnunet"), config.patch_size
    anywhere = round(config.batch_size * (1 - config.foreground_share))
    images, labels = [], []
    for number in range(config.batch_size):
        volume = volumes[rng.integers(len(volumes))]
        low, high = volume.reach(size)
        origin = rng.integers(low, high + 1)
        if number >= anywhere and volume.places:
            origin = np.clip(volume.around(rng) - size // 2, low, high)
        where: dict[str, Any] = {"origin": tuple(origin.tolist()), "size": size, "placement": draw_placement(rng)}
        image = placed_crop(partial(cut, volume.voxels), **where, linear=True, spacing_mm=SPACING_MM)
        images.append(change_intensities(image.astype(np.float32) / 255, draw_intensity_plan(rng), rng))
        label = placed_crop(partial(cut, volume.label), **where, linear=False, spacing_mm=SPACING_MM)
        labels.append(label.astype(np.int64))
    return torch.from_numpy(np.stack(images))[:, None], torch.from_numpy(np.stack(labels))


def scans() -> list[Arrays]:
    """Several blocks along every axis, one class alone, none at all, thinner than a crop."""
    scans = []
    for seed, shape in enumerate([(70, 65, 33), (40, 90, 20), (30, 30, 30), (66, 14, 40)]):
        hu, label = make_scan(seed, shape)
        scans.append((((hu + 1000) // 8).astype(np.uint8), np.where(label > 0, label, 0)))
    scans[1][1][scans[1][1] == 2] = 9  # a value without a class
    scans[2][1][:] = 0
    return scans


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("recipe", ["plain", "nnunet"])
def test_crops_are_those_of_volumes_and_places_that_are_held(tmp_path: Path, recipe: str, chunked: bool) -> None:
    store = write_store(tmp_path, scans(), chunked=chunked, spacing_mm=SPACING_MM)
    volumes = [labelled_volume(store, row, ENTRIES) for row in store.cases.values()]
    held = [Held(voxels, np.where(label > 2, 0, label).astype(np.uint8)) for voxels, label in scans()]
    assert [len(volume.places) for volume in volumes] == [2, 1, 0, 2]
    ours, plainly = (draw_crops, draw_plainly) if recipe == "plain" else (draw_nnunet_crops, draw_as_nnunet_plainly)
    for seed in (0, 7):
        config = finetune_config(seed=seed, batch_size=4, patch_size=24, foreground_share=0.67)
        for step in range(12):
            for one, other in zip(ours(volumes, config, step), plainly(held, config, step), strict=True):
                assert one.dtype == other.dtype
                assert torch.equal(one, other)


@given(shape=st.tuples(*[st.integers(1, 70)] * 3), share=st.sampled_from([0.001, 0.1, 1.0]), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_kth_voxel_of_a_class_is_the_kth_in_c_order(shape: tuple[int, int, int], share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = rng.integers(1, 4, shape) * (rng.random(shape) < share)
    with TemporaryDirectory() as folder:
        store = write_store(Path(folder), [(label.astype(np.uint8), label)], chunked=True)
        volume = labelled_volume(store, store.cases["p0-image"], ENTRIES)
        for place in volume.places:
            voxels = np.argwhere(label == place.index)
            assert place.count == len(voxels)
            for number in {0, len(voxels) - 1, *rng.integers(len(voxels), size=10).tolist()}:
                assert volume.voxel_of(place, number).tolist() == voxels[number].tolist()
    assert {place.index for place in volume.places} == {1, 2} & set(np.unique(label).tolist())


def test_values_without_names_are_refused(tmp_path: Path) -> None:
    label = np.zeros((70, 8, 8), np.uint8)
    label[69, 7, 7] = 4
    store = write_store(tmp_path, [(label, label)], chunked=True, label_names=())
    with pytest.raises(InputError, match="no table of names"):
        labelled_volume(store, store.cases["p0-image"], ENTRIES)
    listed = labelled_volume(store, store.cases["p0-image"], [{"name": "dot", "match": [4]}])
    assert listed.voxel_of(listed.places[0], 0).tolist() == [69, 7, 7]


def traced(store: VoxelStore, folder: Path, count: int, recipe: str) -> tuple[int, int]:
    """Bytes that a task of so many training cases holds after some steps, and the most in between."""
    config = finetune_config(patch_size=32, recipe=recipe)
    people = People(list(store.cases.values())[:count], [], [], "")
    tracemalloc.start()
    task = SegmentationTask(config, store, people, folder, torch.device("cpu"))
    for step in range(10):
        task.draw(step)
    now = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return now


@pytest.mark.parametrize("recipe", ["default", "nnunet"])
def test_memory_does_not_grow_by_volumes(tmp_path: Path, recipe: str) -> None:
    """A volume and its labels have 768 KiB here, and the foreground voxels' places as numbers had 1 MiB."""
    label = np.zeros((64,) * 3, np.uint8)
    label[:32, :, :], label[32:, 32:, :] = 1, 2
    store = write_store(tmp_path, [(label * 60, label)] * 40, chunked=True)
    traced(store, tmp_path, 4, recipe)  # imports
    few, many = traced(store, tmp_path, 4, recipe), traced(store, tmp_path, 40, recipe)
    assert (many[0] - few[0]) / 36 < 4096, "bytes a volume"
    assert many[1] - few[1] < 64**3
    assert many[1] < 6 * 64**3 * 2


def losses(
    task: SegmentationTask, config: FinetuneConfig, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[float]:
    """Trains, and returns the loss of every step."""
    seen: list[float] = []

    def loss(output: Tensor | list[Tensor], target: Tensor) -> Tensor:
        value = SegmentationTask.loss(task, output, target)
        seen.append(value.item())
        return value

    monkeypatch.setattr(task, "loss", loss)
    folder.mkdir()
    network = build_network(config, Init("conv_tiny", None, "scratch", None), task.num_classes, folder)
    train(network, task, config, folder, "", torch.device("cpu"), silent)
    return seen


@pytest.mark.parametrize("recipe", ["default", "nnunet"])
def test_a_run_has_the_losses_that_it_has_on_volumes_that_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    store = write_store(tmp_path / "prepared", scans(), chunked=True, spacing_mm=SPACING_MM)
    config = finetune_config(recipe=recipe, steps=5)
    people = People(list(store.cases.values()), [], [], "")
    task, reference = (SegmentationTask(config, store, people, tmp_path, torch.device("cpu")) for _ in range(2))
    held = [Held(voxels, np.where(label > 2, 0, label).astype(np.uint8)) for voxels, label in scans()]
    plainly = draw_as_nnunet_plainly if recipe == "nnunet" else draw_plainly
    monkeypatch.setattr(reference, "draw", lambda step: plainly(held, config, step))
    ours = losses(task, config, tmp_path / "ours", monkeypatch)
    assert len(ours) == 5
    assert ours == losses(reference, config, tmp_path / "reference", monkeypatch)
