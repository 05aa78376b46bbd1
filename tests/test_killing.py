"""A real study that is killed at many moments ends with the numbers of one that was left alone."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.network]

#: Killed this many seconds after the line appeared.
MOMENTS = [
    ("fetch: started", 0.5),
    ("prepare: started", 1.5),
    ("caption tissue: started", 1.5),
    ("embed tissue: started", 8.0),
    ("pretrain insight-s0: started", 3.0),
    ("pretrain insight-s0: started", 6.0),
    ("finetune insight-s0: started", 3.0),
    ("evaluate: started", 1.0),
    ("localize: started", 0.3),
]
DEMO = [sys.executable, "-m", "med3dinsight", "demo", "--quick", "--device", "cpu"]
#: Often enough that a kill falls between two checkpoints.
SETTINGS = ["--set", "pretrain.checkpoint_every=3", "--set", "finetune.checkpoint_every=3"]


def run_until(command: list[str], line: str, seconds: float) -> bool:
    """Runs a command and kills it ``seconds`` after a line; False where it ended before."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    for printed in process.stderr:
        if printed.startswith(line):
            time.sleep(seconds)
            break
    killed = process.poll() is None
    process.kill()
    process.wait()
    process.stderr.close()
    return killed


def assert_close(one: Any, other: Any, place: str = "") -> None:
    """Compares JSON values; numbers may differ by 1e-6."""
    if isinstance(one, dict):
        assert list(one) == list(other), place
        for key in one:
            assert_close(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), place
        for index, (first, second) in enumerate(zip(one, other, strict=True)):
            assert_close(first, second, f"{place}[{index}]")
    elif isinstance(one, float):
        assert math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6), f"{place}: {one} {other}"
    else:
        assert one == other, place


def test_kills_change_no_number(tmp_path: Path) -> None:
    quiet, disturbed = tmp_path / "quiet", tmp_path / "disturbed"
    subprocess.run([*DEMO, str(quiet), *SETTINGS], check=True, capture_output=True)
    kills = [run_until([*DEMO, str(disturbed), *SETTINGS], *moment) for moment in MOMENTS]
    assert sum(kills) >= len(MOMENTS) // 2, "too fast to be killed; kill earlier"
    done = subprocess.run([*DEMO, str(disturbed), *SETTINGS, "--json"], check=True, capture_output=True, text=True)
    assert Path(json.loads(done.stdout)["page"]).exists()
    for name in ("scores.json", "localization.json"):
        one, other = (json.loads((folder / "evaluation" / name).read_text()) for folder in (quiet, disturbed))
        assert_close(one, other, name)
