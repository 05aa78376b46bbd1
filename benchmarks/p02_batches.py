"""P2: batches of 32 volumes of 128 x 128 x 128 out of the voxel store, against MONAI's datasets.

All sides give the same float32 batches in [0, 1] in a new random order each epoch. Ours are what pre-training draws
(``pretraining.views.plain_looks``) without shifts; "with_contrast" draws a contrast curve for each volume as well,
which the peers do not. One thread, CPU seconds, all sides in turn. "waiting" is the share of a training step of the
smallest CNN that its batch takes, the largest of all encoders here. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai import transforms as mt
from monai.data import CacheDataset, DataLoader, PersistentDataset, set_track_meta

from med3dinsight.encoders import create_encoder
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.pool import Pool
from med3dinsight.pretraining.views import plain_looks
from med3dinsight.records import Case, Crop
from med3dinsight.workspace.voxel_store import VoxelStore, VoxelWriter

EDGE, BATCH = 128, 32


def case(number: int) -> Case:
    """A row of the manifest for a cube."""
    affine = tuple(tuple(float(value) for value in row) for row in np.eye(4))
    return Case(
        id=f"v{number}",
        subject=f"v{number}",
        image="",
        modality="ct",
        modality_guessed=False,
        shape=(EDGE,) * 3,
        spacing_mm=(1.0,) * 3,
        affine=affine,
        source_shape=(EDGE,) * 3,
        source_affine=affine,
        source_sha256="",
        voxel_sha256="",
        window=(-1000.0, 1000.0),
        offset=0,
        has_label=False,
    )


def fill(folder: Path, count: int) -> VoxelStore:
    """Writes random cubes to a store, and the same as files of their own for the peers."""
    rng, writer = np.random.default_rng(0), VoxelWriter(folder / "prepared")
    for number in range(count):
        voxels = rng.integers(0, 256, (EDGE,) * 3, dtype=np.uint8)
        writer.append(case(number), voxels, None)
        np.save(folder / f"{number}.npy", voxels)
    return VoxelStore(folder / "prepared")


def ours(store: VoxelStore, contrast: float) -> Callable[[], list[float]]:
    """One epoch of pre-training's own batches; returns a check sum a batch."""
    crops = [Crop(name, (0, 0, 0), EDGE) for name in store.cases]
    pool = Pool(store, [], {crop.case: {crop: []} for crop in crops})
    config = PretrainConfig(shift_voxels=0, contrast_augmentation=contrast)
    rng = np.random.default_rng(0)

    def epoch() -> list[float]:
        order = rng.permutation(len(crops))
        batches = (order[start : start + BATCH] for start in range(0, len(order), BATCH))
        return [float(plain_looks(rng, config, pool, [crops[i] for i in batch])[0][0, 0, 0, 0, 0]) for batch in batches]

    return epoch


def monai(folder: Path, count: int, kind: str) -> Callable[[], list[float]]:
    """One epoch of MONAI's dataset, everything cached."""
    set_track_meta(False)
    steps = [
        mt.LoadImaged(["image"], reader="NumpyReader"),
        mt.EnsureChannelFirstd(["image"], channel_dim="no_channel"),
        mt.ScaleIntensityRanged(["image"], 0, 255, 0.0, 1.0),
        mt.ToTensord(["image"]),
    ]
    rows = [{"image": str(folder / f"{number}.npy")} for number in range(count)]
    if kind == "cache":
        data = CacheDataset(rows, mt.Compose(steps), progress=False, num_workers=1)
    else:
        data = PersistentDataset(rows, mt.Compose(steps), cache_dir=folder / "cache")
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=0)
    return lambda: [float(batch["image"][0, 0, 0, 0, 0]) for batch in loader]


def waiting(store: VoxelStore, crops: int = 4) -> dict[str, float]:
    """Times a batch and the training step that takes it."""
    names = list(store.cases)[:crops]
    pool = Pool(store, [], {name: {Crop(name, (0, 0, 0), EDGE): []} for name in names})
    config, rng = PretrainConfig(shift_voxels=4, contrast_augmentation=0.5), np.random.default_rng(0)
    encoder = create_encoder("conv_tiny", image_size=EDGE)
    drawing, training = [], []
    for _ in range(4):
        started = time.process_time()
        volumes, _ = plain_looks(rng, config, pool, [Crop(name, (0, 0, 0), EDGE) for name in names])
        drawing.append(time.process_time() - started)
        encoder(volumes).tokens.square().mean().backward()
        training.append(time.process_time() - started)
    return {"batch": min(drawing), "step": min(training), "share": min(drawing) / min(training)}


def main() -> None:
    """Fills the store, warms up, and times all sides alternately."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--volumes", type=int, default=128, help="volumes in the store")
    arguments.add_argument("--rounds", type=int, default=5, help="epochs of each side")
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = fill(folder, chosen.volumes)
        sides = {
            "ours": ours(store, 0.0),
            "with_contrast": ours(store, 0.5),
            "cache": monai(folder, chosen.volumes, "cache"),
            "persistent": monai(folder, chosen.volumes, "persistent"),
        }
        rates: dict[str, list[float]] = {key: [] for key in sides}
        for number in range(chosen.rounds + 1):
            for key, epoch in sides.items():
                started = time.process_time()
                epoch()
                if number:
                    rates[key].append(chosen.volumes / (time.process_time() - started))
        median = {key: statistics.median(values) for key, values in rates.items()}
        row = {
            "goal": "P2",
            "ours": round(median["ours"]),
            "peer": round(median["cache"]),
            "ratio": round(median["ours"] / median["cache"], 2),
            "target": ">= 3 at a quarter of the memory; waiting <= 0.02",
            "others": {"persistent": round(median["ours"] / median["persistent"], 2)},
            "unit": "volumes a CPU second",
            "spread": {key: [round(min(values)), round(max(values))] for key, values in rates.items()},
            "with_contrast": round(median["with_contrast"] / median["cache"], 2),
            "mib_a_volume": {"ours": EDGE**3 / 2**20, "cache": 4 * EDGE**3 / 2**20},
            "waiting": {key: round(value, 4) for key, value in waiting(store).items()},
        }
        print(json.dumps(row))


if __name__ == "__main__":
    main()
