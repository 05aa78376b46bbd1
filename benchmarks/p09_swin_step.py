"""P9: a training step of our Swin transformer against MONAI's, with the same weights and the same outputs.

Forward, a loss that reads all five maps, and backward; one volume, one thread, CPU seconds, both sides in turn.
"tokens_only" is the same for a loss that reads the tokens alone, as pre-training does. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from monai.networks.nets.swin_unetr import SwinTransformer
from torch import Tensor

from med3dinsight.encoders import create_encoder

TARGET = 2.0
#: Width, patch, depths, and the map that gives the tokens.
SIZES = {"swin_vit": (96, 4, (2, 2, 6, 2), 3), "swin_unetr": (48, 2, (2, 2, 2, 2), 4)}


def seconds(forward: Callable[[Tensor], Sequence[Tensor]], volume: Tensor, directions: Sequence[Tensor]) -> float:
    """Times one step."""
    started = time.process_time()
    maps = forward(volume)[-len(directions) :]
    sum((each * direction).sum() for each, direction in zip(maps, directions, strict=True)).backward()
    return time.process_time() - started


def main() -> None:
    """Compares outputs, warms up, and times both sides alternately."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--encoder", choices=sorted(SIZES), default="swin_vit", help="which configuration")
    arguments.add_argument("--size", type=int, default=96, help="edge of the volume in voxels")
    arguments.add_argument("--rounds", type=int, default=7, help="steps of each side")
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    width, patch, depths, token_map = SIZES[chosen.encoder]
    ours = create_encoder(chosen.encoder, image_size=chosen.size)
    peer = SwinTransformer(1, width, (7,) * 3, (patch,) * 3, depths, (3, 6, 12, 24), spatial_dims=3)
    peer.load_state_dict(ours.state_dict())
    volume = torch.rand(1, 1, *(chosen.size,) * 3)
    with torch.no_grad():
        pairs = list(zip(ours(volume).pyramid, peer(volume), strict=True))
    difference = max(float((one - other).abs().max()) for one, other in pairs)
    directions = [torch.randn_like(one) for one, _ in pairs]
    sides = {"ours": lambda volume: ours(volume).pyramid, "peer": peer}
    times: dict[str, list[float]] = {"ours": [], "peer": [], "ours tokens": [], "peer tokens": []}
    for number in range(chosen.rounds + 1):
        for suffix, last in (("", None), (" tokens", token_map)):
            for name, forward in sides.items():
                run = forward if last is None else lambda volume, forward=forward: [forward(volume)[token_map]]
                took = seconds(run, volume, directions if last is None else [directions[token_map]])
                if number:
                    times[name + suffix].append(took)
    median = {name: statistics.median(values) for name, values in times.items()}
    row = {
        "goal": "P9",
        "ours": round(median["ours"], 3),
        "peer": round(median["peer"], 3),
        "ratio": round(median["peer"] / median["ours"], 2),
        "target": f">= {TARGET} (stretch 4), outputs within 1e-4",
        "others": {},
        "unit": "CPU seconds a step",
        "spread": {name: [round(min(values), 3), round(max(values), 3)] for name, values in times.items()},
        "tokens_only": round(median["peer tokens"] / median["ours tokens"], 2),
        "output_difference": difference,
        "encoder": chosen.encoder,
        "size": chosen.size,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
