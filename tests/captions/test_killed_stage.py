"""The command `caption` is killed again and again while it asks a server: what was answered is kept."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
from faulty_server import ServerBooks, faulty_server
from numpy.typing import NDArray

from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore

Prepared = Callable[..., Workspace]
KILLS, CONCURRENCY = 12, 8
SLICES = 2 * 20 * 24


def command(server: ServerBooks, workspace: Workspace) -> list[str]:
    settings = {
        "picture_size": 64,
        "crop_size": 16,
        "crops_per_volume": 20,
        "positions_per_plane": 8,
        "concurrency": CONCURRENCY,
    }
    words = ["caption", str(workspace.root), "--captioner", "openai", "--model", "m", "--base-url", server.base_url]
    words += [word for name, value in settings.items() for word in ("--set", f"caption.{name}={value}")]
    return [sys.executable, "-m", "med3dinsight", *words]


@pytest.mark.slow
def test_kills_lose_nothing_and_only_what_was_under_way_is_asked_again(prepared: Prepared) -> None:
    voxels: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 255, (40, 40, 40), dtype=np.uint8)
    workspace = prepared({"a": voxels, "b": np.ascontiguousarray(voxels[::-1])})
    dice, kills = random.Random(7), 0
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with faulty_server(share=0.6, slow=0.2) as server:
        while kills < KILLS:
            before = server.asked.total()
            child = subprocess.Popen(command(server, workspace), **quiet)  # type: ignore[call-overload]
            end = time.monotonic() + 30
            while server.asked.total() < before + dice.randrange(5, 60) and time.monotonic() < end:
                time.sleep(0.005)
            if child.poll() is not None:
                break
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills += 1
        assert subprocess.run(command(server, workspace), timeout=300, check=False, **quiet).returncode == 0  # type: ignore[call-overload]
        repeated = sum(count - 1 for count in server.readable.values())
        assert kills >= 3 and repeated <= kills * CONCURRENCY
        with CaptionStore(workspace.captions) as ledger:
            texts = ledger.texts("openai")
            dealt_with = ledger.num_written("openai")
        assert dealt_with == SLICES
        assert len(set(texts.values())) >= SLICES // 2
        names = {text.split()[1] for text in texts.values()}
        assert names <= set(server.readable), "each text is one that the server wrote"
        asked = server.asked.total()
        assert subprocess.run(command(server, workspace), timeout=60, check=False, **quiet).returncode == 0  # type: ignore[call-overload]
        assert server.asked.total() == asked
