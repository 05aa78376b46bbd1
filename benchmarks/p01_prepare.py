"""P1: from a .nii.gz of 512 x 512 x 200 voxels to a prepared cube of 128, against what the field uses.

Ours is one scan's whole work in the stage ``prepare``: the stream decoded and checked to its end, hashed, windowed,
antialiased, rounded. The peers follow the papers' words: canonical axes, 1 mm, intensities to [0, 1], padded to a cube,
resized to 128. One thread, CPU seconds, all sides in turn; memory is the peak of a process of its own above what it
had after its imports. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE, SPACING_MM, CUBE = (512, 512, 200), (0.7, 0.7, 1.25), 128
WINDOW = (-1000.0, 1000.0)
PEERS = ("monai", "monai_lazy", "torchio")
SIDES = ("ours", *PEERS)


def write_scan(path: Path) -> None:
    """Writes something like a CT of a chest: smooth organs, air, and noise that does not compress."""
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in SHAPE), indexing="ij", sparse=True)
    values = 40 + 30 * np.sin(9 * x + 4 * z) * np.cos(7 * y) + rng.normal(scale=12, size=SHAPE).astype(np.float32)
    values[((np.abs(x) - 0.35) / 0.25) ** 2 + (y / 0.4) ** 2 + 0 * z < 1] -= 850
    values[(x / 0.85) ** 2 + (y / 0.65) ** 2 + 0 * z > 1] -= 1000
    image = nib.Nifti1Image(values.astype(np.int16), np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2], 1]))
    nib.save(image, path)


def ours(path: Path) -> Callable[[], object]:
    """The stage's function for one scan."""
    from med3dinsight.preparing.config import PrepareConfig
    from med3dinsight.preparing.item import prepare_source
    from med3dinsight.records import Source

    config = PrepareConfig(source=str(path.parent), protocol="cube128", cube_size=CUBE, ct_window=WINDOW, modality="ct")
    return lambda: prepare_source(Source("scan", "somebody", str(path)), config).voxels


def monai(path: Path, *, lazy: bool) -> Callable[[], object]:
    """MONAI's dictionary transforms, one after another or gathered."""
    import torch
    from monai import transforms as mt

    torch.set_num_threads(1)
    edge = round(max(length * step for length, step in zip(SHAPE, SPACING_MM, strict=True)))
    steps = [
        mt.LoadImaged(["image"]),
        mt.EnsureChannelFirstd(["image"]),
        mt.Orientationd(["image"], axcodes="RAS"),
        mt.Spacingd(["image"], pixdim=(1.0, 1.0, 1.0)),
        mt.ScaleIntensityRanged(["image"], *WINDOW, 0.0, 1.0, clip=True),
        mt.SpatialPadd(["image"], (edge,) * 3),
        mt.Resized(["image"], (CUBE,) * 3, mode="trilinear", anti_aliasing=False),
    ]
    chain = mt.Compose(steps, lazy=lazy)
    return lambda: chain({"image": str(path)})["image"]


def torchio(path: Path) -> Callable[[], object]:
    """TorchIO's transforms in the same order."""
    import torch
    import torchio as tio

    torch.set_num_threads(1)
    edge = round(max(length * step for length, step in zip(SHAPE, SPACING_MM, strict=True)))
    steps = [tio.ToCanonical(), tio.Resample(1.0), tio.Clamp(*WINDOW), tio.RescaleIntensity((0, 1))]
    chain = tio.Compose([*steps, tio.CropOrPad(edge), tio.Resize(CUBE)])
    return lambda: chain(tio.ScalarImage(str(path))).data


def side(name: str, path: Path) -> Callable[[], object]:
    """Returns what one side does."""
    if name == "ours":
        return ours(path)
    return torchio(path) if name == "torchio" else monai(path, lazy=name == "monai_lazy")


def extra_mib(name: str, path: Path) -> float:
    """Peak memory of one call in a process of its own, above what it had before, in MiB."""
    command = [sys.executable, __file__, "--memory-of", name, str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def tell_memory(name: str, path: Path) -> None:
    """Prints the peak of this process above its state after the imports."""
    call = side(name, path)
    status = Path("/proc/self/status")
    before = _kib(status.read_text(), "VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
    call()
    print((_kib(status.read_text(), "VmHWM") - before) / 1024)


def _kib(text: str, key: str) -> int:
    return int(next(line for line in text.splitlines() if line.startswith(key)).split()[1])


def distance_to_simpleitk(path: Path) -> float:
    """Largest difference between one linear step of ours and of SimpleITK, in units of the window."""
    import SimpleITK

    from med3dinsight.volumes.reading import read_volume
    from med3dinsight.volumes.resampling import cube_grid, resample

    volume = read_volume(path)
    x, y, z = volume.array.shape
    grid = cube_grid((x, y, z), volume.spacing_mm, CUBE)
    scaled = np.clip((volume.array.astype(np.float64) - WINDOW[0]) / (WINDOW[1] - WINDOW[0]), 0, 1)
    image = SimpleITK.GetImageFromArray(scaled.transpose(2, 1, 0))
    theirs = SimpleITK.Resample(
        image, grid.shape, SimpleITK.Transform(), SimpleITK.sitkLinear, grid.offset, grid.scale, np.eye(3).ravel(), 0.0
    )
    difference = resample(volume.array, grid, WINDOW, antialias=False).transpose(2, 1, 0)
    difference -= SimpleITK.GetArrayFromImage(theirs).astype(np.float32)
    return float(np.abs(difference).max())


def decoding_seconds(path: Path) -> float:
    """CPU seconds of one call of the fastest decompressor here, which no checked reader can do without."""
    from isal import isal_zlib

    raw, best = path.read_bytes(), float("inf")
    for _ in range(3):
        started = time.process_time()
        isal_zlib.decompress(raw, wbits=31, bufsize=2 * SHAPE[0] * SHAPE[1] * SHAPE[2])
        best = min(best, time.process_time() - started)
    return best


def compare(path: Path, rounds: int) -> dict[str, object]:
    """Times all sides in turn."""
    present = [name for name in SIDES if name == "ours" or find_spec(name.split("_")[0])]
    for name in set(SIDES) - set(present):
        print(f"{name} is not installed: pip install 'med3dinsight[bench]'", file=sys.stderr)
    calls = {name: side(name, path) for name in present}
    times: dict[str, list[float]] = {name: [] for name in present}
    for number in range(rounds + 1):
        for name, call in calls.items():
            started = time.process_time()
            call()
            if number:
                times[name].append(time.process_time() - started)
    median = {name: statistics.median(values) for name, values in times.items()}
    ratio = {name: round(median[name] / median["ours"], 1) for name in present if name != "ours"}
    return {
        "goal": "P1",
        "ours": round(median["ours"], 3),
        "peer": round(median["monai"], 3),
        "ratio": ratio["monai"],
        "target": ">= 20 (monai), >= 8 (monai_lazy), >= 18 (torchio), <= 300 MiB extra, <= 1e-5 from SimpleITK",
        "others": {name: value for name, value in ratio.items() if name != "monai"},
        "unit": "CPU seconds a volume",
        "spread": {name: [round(min(values), 3), round(max(values), 3)] for name, values in times.items()},
        "extra_mib": {name: round(extra_mib(name, path)) for name in present},
        "decoding_alone": round(decoding_seconds(path), 3),
        "distance_to_simpleitk": distance_to_simpleitk(path),
        "file_mb": round(path.stat().st_size / 1e6, 1),
    }


def main() -> None:
    """Makes the scan and compares."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5, help="calls of each side")
    arguments.add_argument("--memory-of", nargs=2, metavar=("SIDE", "FILE"), help="one side's memory alone")
    chosen = arguments.parse_args()
    if chosen.memory_of:
        tell_memory(chosen.memory_of[0], Path(chosen.memory_of[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii.gz"
        write_scan(path)
        print(json.dumps(compare(path, chosen.rounds)))


if __name__ == "__main__":
    main()
