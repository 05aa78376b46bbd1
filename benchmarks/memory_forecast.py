"""The memory that `pretrain --dry-run` forecasts, against what the run then takes.

Each pair of encoder and method is forecast and run in processes of its own, on made scans with toy features, one
thread; measured is the largest resident size (VmHWM) that the run itself reports. A pair agrees if the forecast lies
within a quarter of it. Prints one JSON line, with a row a pair, and ends with 1 if a pair does not agree. Takes some
minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "plugins"))

import learned_workspace as made

from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.forecast import forecast
from med3dinsight.pretraining.methods import METHODS
from med3dinsight.pretraining.run import run
from med3dinsight.workspace import Workspace

MIB, TARGET = 2**20, 0.25
#: The preset's PSAT would take 70 GiB for 256 pairs.
SMALL_PSAT = {"psat_width": 32, "psat_heads": 4, "num_queries": 4}
#: Encoder, method, volumes a step, other settings.
PAIRS: list[tuple[str, str, int, dict[str, Any]]] = [
    ("conv_tiny", "insight", 32, {}),
    ("conv_tiny", "insight", 32, {"micro_batch": 4}),
    ("conv_tiny", "extended", 8, {"slices_per_volume": 32, **SMALL_PSAT}),
    ("conv_tiny", "extended", 8, {"slices_per_volume": 32, "ot_regularization": 0.01, **SMALL_PSAT}),
    ("vit_tiny", "paper", 8, {}),
    ("vit_tiny", "extended", 4, {}),
    ("resenc_tiny", "simmim", 4, {}),
    ("unetr_tiny", "moco", 8, {}),
    ("swin_unetr_tiny", "dino", 4, {}),
    ("mednext_tiny", "voco", 4, {}),
    ("primus_tiny", "mae", 8, {}),
    ("nnformer_tiny", "t3d", 4, {}),
    ("vit2d_adapted_tiny", "clip3d", 8, {}),
    ("unetr", "paper", 2, {}),
]


def make_workspace(root: Path, size: int) -> None:
    """Two people's crops of ``size`` voxels with toy features."""
    made.CROP = size
    toy = made.Toy(root)
    for subject in ("anna", "bert"):
        toy.add(subject, shape=(size + 16, size + 12, size + 8))
    toy.prepare()
    toy.caption()
    toy.embed()


def one(what: str, root: Path, settings: str) -> dict[str, Any]:
    """Forecasts or runs in a fresh process."""
    command = [sys.executable, __file__, "--one", what, "--root", str(root), "--settings", settings]
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))


def main() -> None:
    """Forecasts and runs each pair."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--size", type=int, default=64, help="edge of the crops in voxels")
    arguments.add_argument("--steps", type=int, default=3, help="steps of each run")
    arguments.add_argument("--one", choices=["forecast", "run"], help=argparse.SUPPRESS)
    arguments.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--settings", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    towers = made.ToyTowers()
    made.TOWERS["toy"] = made.TowerEntry(lambda device: towers, 0, "for tests", "the tests")
    if chosen.one:
        config, workspace = PretrainConfig(**json.loads(chosen.settings)), Workspace(chosen.root / "work")
        took = {"peak_memory_bytes": run(config, workspace).peak_memory_bytes} if chosen.one == "run" else {}
        print(json.dumps(took or forecast(config, workspace)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        make_workspace(Path(folder), chosen.size)
        for number, (encoder, method, volumes, others) in enumerate(PAIRS):
            common = {"device": "cpu", "threads": 1, "warmup_steps": 1, "steps": chosen.steps}
            common |= {"towers": "toy"} if METHODS[method].features else {}
            pair = {"encoder": encoder, "method": method, "batch_volumes": volumes, **others}
            settings = json.dumps({**common, **pair, "run": f"pair-{number}"})
            told, took = (one(what, Path(folder), settings) for what in ("forecast", "run"))
            forecast_bytes, run_bytes = told["peak_memory_bytes"], took["peak_memory_bytes"]
            rows.append(
                {
                    **pair,
                    "forecast_mib": round(forecast_bytes / MIB),
                    "measured_mib": round(run_bytes / MIB),
                    "of_which_process_mib": round(told["of_which_process"] / MIB),
                    "ratio": round(forecast_bytes / run_bytes, 2),
                }
            )
            print(rows[-1], file=sys.stderr)
    ratios = [row["ratio"] for row in rows]
    reached = all(abs(ratio - 1) <= TARGET for ratio in ratios)
    print(
        json.dumps(
            {
                "goal": "memory forecast",
                "ours": [min(ratios), max(ratios)],
                "unit": "forecast over measured, lowest and highest",
                "target": f"within {TARGET} of 1",
                "reached": reached,
                "size": chosen.size,
                "pairs": rows,
            }
        )
    )
    if not reached:
        sys.exit(1)


if __name__ == "__main__":
    main()
