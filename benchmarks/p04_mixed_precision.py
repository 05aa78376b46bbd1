"""P4: a pre-training step in bf16 against the same in fp32, and whether the loss curves agree.

Steps of insight on a ViT of half ViT-B's depth, batch 4, one thread, CPU seconds, both sides in turn on the same
batches. The curves agree if their ends, averaged over the last quarter, differ by no more than fp32 differs between
seeds. Without AVX512-BF16 or AMX both sides are fp32, and the line says so. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time

import torch
from torch import Tensor

from med3dinsight.alignment.aligned_encoder import AlignedEncoder
from med3dinsight.alignment.presets import PSAT_PRESETS
from med3dinsight.encoders.vit import ViTEncoder
from med3dinsight.losses.infonce import infonce
from med3dinsight.training.precision import autocast, cpu_has_bf16

TARGET, SEEDS = 2.0, (0, 1, 2)


class Trainee:
    """A model that learns to tell where bright blocks lie; its data are made, its step is the real one."""

    def __init__(self, seed: int, size: int, batch: int, mixed: bool) -> None:
        torch.manual_seed(seed)
        encoder = ViTEncoder(size, num_layers=6)
        self.model = AlignedEncoder(encoder, size, 64, PSAT_PRESETS["insight"])
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-4, fused=True)
        self.size, self.batch, self.mixed, self.seed = size, batch, mixed, seed
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.code = torch.randn(3 * 64, 64, generator=torch.Generator().manual_seed(7))

    def draw(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Volumes with a block of its own brightness in each slice, and features that follow it."""
        generator = torch.Generator().manual_seed(1000 * self.seed + step)
        volumes = torch.rand(self.batch, 1, *(self.size,) * 3, generator=generator)
        planes = torch.randint(0, 3, (self.batch, 8), generator=generator)
        positions = torch.rand(self.batch, 8, generator=generator)
        tint = torch.rand(self.batch, generator=generator)
        volumes += tint[:, None, None, None, None]
        row = (planes * 64 + positions * 64).long().clamp(max=3 * 64 - 1)
        return volumes, planes, positions, self.code[row] + 2 * tint[:, None, None] * self.code[0]

    def step(self, number: int) -> None:
        """One step, timed."""
        volumes, planes, positions, targets = self.draw(number)
        started = time.process_time()
        with autocast(torch.device("cpu"), self.size) if self.mixed else contextlib.nullcontext():
            image, text = self.model(volumes, planes, positions)
        loss = infonce(image.flatten(0, 1), targets.flatten(0, 1)) + infonce(text.flatten(0, 1), targets.flatten(0, 1))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.seconds.append(time.process_time() - started)
        self.losses.append(loss.item())

    def end(self) -> float:
        """Mean loss of the last quarter."""
        return statistics.mean(self.losses[-max(len(self.losses) // 4, 1) :])


def main() -> None:
    """Trains fp32 and bf16 side by side for each seed."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--size", type=int, default=96, help="edge of the volumes in voxels")
    arguments.add_argument("--batch", type=int, default=4, help="volumes a step")
    arguments.add_argument("--steps", type=int, default=12, help="steps a curve")
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    pairs = []
    for seed in SEEDS:
        pair = [Trainee(seed, chosen.size, chosen.batch, mixed) for mixed in (False, True)]
        for number in range(chosen.steps):
            for trainee in pair:
                trainee.step(number)
        pairs.append(pair)
    ends = [[trainee.end() for trainee in pair] for pair in pairs]
    seconds = [[value for pair in pairs for value in pair[side].seconds[1:]] for side in (0, 1)]
    full, mixed = (statistics.median(values) for values in seconds)
    end_difference = max(abs(a - b) for a, b in ends)
    seed_spread = max(a for a, _ in ends) - min(a for a, _ in ends)
    row = {
        "goal": "P4",
        "ours": round(mixed, 3),
        "peer": round(full, 3),
        "ratio": round(full / mixed, 2),
        "target": f">= {TARGET}, loss curves that agree within seeds",
        "reached": full / mixed >= TARGET and end_difference <= seed_spread,
        "faster": full / mixed >= TARGET,
        "curves_agree": end_difference <= seed_spread,
        "others": {},
        "unit": "CPU seconds a step",
        "spread_seconds": {
            name: [round(min(v), 3), round(max(v), 3)] for name, v in zip(("fp32", "bf16"), seconds, strict=True)
        },
        "bf16": cpu_has_bf16(),
        "end_difference": round(end_difference, 4),
        "seed_spread": round(seed_spread, 4),
        "ends": [[round(value, 4) for value in pair] for pair in ends],
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
