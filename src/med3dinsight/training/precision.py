"""Device and number format: bf16 where the machine computes with it, fp32 elsewhere."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import torch

from ..errors import ConfigError

#: oneDNN (in torch 2.13 on CPUs) returns garbage as the bf16 weight gradient of a *depthwise* convolution that reads a
#: map *channels-last* and shorter than its kernel along x: for kernels of 3 a map of two voxels. Dense convolutions and
#: maps laid out channel by channel have none of it. MedNeXt lays its maps out so; modules of other people need not.
#: Smaller crops than this are cheap in fp32; maps of this edge still shrink to two voxels in networks of stride 16.
SMALLEST_BF16_EDGE = 32


def choose_device(name: str) -> torch.device:
    """Turns ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into a device; ``auto`` takes CUDA where it works.

    Raises:
        ConfigError: The name is none of these, or this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise ConfigError(f"no device called {name}", "use auto, cpu, cuda or cuda:N")
    if kind == "cuda" and (not torch.cuda.is_available() or int(number or 0) >= torch.cuda.device_count()):
        raise ConfigError(f"this machine has no {name}", "use --device cpu, or install a CUDA build of torch (README)")
    return torch.device(name)


@cache
def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 natively (AVX512-BF16 or AMX); emulated it is slower than fp32."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    return bool(flags & {"avx512_bf16", "amx_bf16"})


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bf16 natively."""
    return torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()


def autocast(device: torch.device, trained_edge: int | None = None) -> AbstractContextManager[object]:
    """A mixed-precision context: bf16 where the device has it, else nothing.

    Args:
        device: Where is computed.
        trained_edge: Edge in voxels of the volumes that a network is trained on; below
            :data:`SMALLEST_BF16_EDGE` a CPU stays with fp32. None where no gradient is wanted.
    """
    too_small = device.type == "cpu" and trained_edge is not None and trained_edge < SMALLEST_BF16_EDGE
    if too_small or not has_bf16(device):
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def limit_threads(threads: int) -> None:
    """Sets the number of threads torch may use in this process; 0 leaves torch's own choice."""
    if threads > 0:
        torch.set_num_threads(threads)
