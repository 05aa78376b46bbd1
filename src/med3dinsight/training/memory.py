"""How much memory a step takes: forecast without computing anything, and measured."""

from __future__ import annotations

import contextlib
import resource
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..errors import ConfigError

MIB = 2**20


class StorageMeter(TorchDispatchMode):
    """Counts the bytes of the storages that live while it is entered, operation by operation.

    Attributes:
        live: Bytes that live now.
        peak: Most bytes that lived at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: set[int] = set()

    def count(self, tensor: Tensor) -> None:
        """Counts a tensor's storage until it dies, once however many views there are."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs an operation and counts what it returns."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.count(leaf)
        return result


class _Answers(TorchDispatchMode):
    """Answers whoever looks at a value that a fake tensor does not have: ``truth``, or zero."""

    def __init__(self, truth: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.truth = truth

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        from torch._subclasses.fake_tensor import DataDependentOutputException

        try:
            return func(*args, **(kwargs or {}))
        except DataDependentOutputException:
            if func is not torch.ops.aten._local_scalar_dense.default:
                raise
            kind = args[0].dtype
            return self.truth if kind == torch.bool else 0.0 if kind.is_floating_point else 0


@dataclass(frozen=True)
class TensorBytes:
    """What a step takes.

    Attributes:
        peak: Most bytes in tensors at once.
        kept: Bytes in what the step returned, and in all that hangs on it.
    """

    peak: int
    kept: int


def forecast_tensors(step: Callable[[StorageMeter], Any], *, truth: bool = True) -> TensorBytes:
    """Returns the bytes in tensors while a step runs on tensors that hold nothing.

    Args:
        step: Builds and computes what is to be counted and returns what is kept; is given what counts it. It takes no
            data, and no shape in it may follow from values.
        truth: What a comparison of values is taken to have given where the step asks for it; numbers are taken for 0.

    Raises:
        ConfigError: A shape follows from values.
    """
    # Not at the top: it brings some 60 MiB, which a run that only tells its peak would pay for.
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException,
        DynamicOutputShapeException,
        FakeTensorMode,
    )

    meter = StorageMeter()
    # torch's truncated normal draws until the values fit, and there are none; libraries hold references to its public
    # name, so that what lies behind it is replaced.
    with (
        mock.patch("torch.nn.init._no_grad_trunc_normal_", lambda tensor, *_, **__: tensor),
        FakeTensorMode(allow_non_fake_inputs=True),
        _Answers(truth),
        meter,
    ):
        try:
            kept = step(meter)
        except (DataDependentOutputException, DynamicOutputShapeException):
            raise ConfigError(
                "no forecast of memory can be made: some shapes follow from values, which are not computed for it",
                "run a few steps instead; the result tells peak_memory_bytes",
            ) from None
    counted = TensorBytes(meter.peak, meter.live)
    del kept
    return counted


def resident_bytes() -> int:
    """Memory of this process now, in bytes."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as handle:
        return int(handle.read().split()[1]) * resource.getpagesize()
    return peak_resident_bytes()


def peak_resident_bytes() -> int:
    """Most memory that this process has held, in bytes.

    Linux tells it in ``/proc``; what ``getrusage`` says there also counts what the parent held when it started us.
    """
    with contextlib.suppress(OSError), open("/proc/self/status") as handle:
        for line in handle:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
