from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from med3dinsight.errors import ConfigError
from med3dinsight.training.memory import MIB, StorageMeter, forecast_tensors, peak_resident_bytes, resident_bytes


def test_the_meter_counts_what_lives_and_views_once() -> None:
    with StorageMeter() as meter:
        first = torch.zeros(MIB // 4)
        view = first.reshape(2, -1)
        assert meter.live == MIB
        second = first + 1
        assert meter.live == 2 * MIB
        del first, view
        assert meter.live == MIB
        del second
    assert meter.live == 0
    assert meter.peak == 2 * MIB


def test_a_step_forecast_without_data_is_the_step_measured() -> None:
    def step(meter: StorageMeter) -> torch.nn.Module:
        layer = torch.nn.Linear(512, 512)
        optimizer = torch.optim.AdamW(layer.parameters())
        for _ in range(2):
            layer(torch.zeros(2048, 512)).relu().square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        return layer

    with StorageMeter() as meter:
        step(meter)
    assert forecast_tensors(step).peak == meter.peak
    assert forecast_tensors(step).kept == 4 * (512 * 512 + 512)
    assert meter.peak > 4 * 4 * 512 * 512


def test_what_a_step_asks_of_values_is_answered_and_shapes_that_follow_from_them_are_refused() -> None:
    def branch(meter: StorageMeter) -> torch.Tensor:
        return torch.zeros(MIB) if bool(torch.rand(3).sum() > 1) else torch.zeros(2 * MIB)

    assert forecast_tensors(branch).kept == 4 * MIB
    assert forecast_tensors(branch, truth=False).kept == 8 * MIB
    assert forecast_tensors(lambda meter: torch.zeros(MIB) * torch.rand(1).item()).kept == 4 * MIB
    with pytest.raises(ConfigError, match="shapes follow from values"):
        forecast_tensors(lambda meter: torch.rand(3).nonzero())


def test_a_forecast_takes_no_memory_itself() -> None:
    before = peak_resident_bytes()
    peak = forecast_tensors(lambda meter: torch.zeros(2**32) + 1).peak
    assert peak >= 2 * 4 * 2**32
    assert peak_resident_bytes() - before < 2**30
    assert 0 < resident_bytes() <= 1.05 * peak_resident_bytes()


def test_the_peak_is_this_process_own_and_not_that_of_its_parent() -> None:
    held = torch.zeros(2**27)
    code = "from med3dinsight.training.memory import peak_resident_bytes; print(peak_resident_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before = int(done.stdout)
    held = torch.cat([held, held])
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert abs(int(again.stdout) - before) < 2**27
    assert peak_resident_bytes() > 2**30
    del held
