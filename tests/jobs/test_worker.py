"""Worker processes end when their parent does, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from med3dinsight.workspace import Workspace

PARENT = """
import sys
sys.path[:] = {path!r}
import stand_in_stages
from med3dinsight.jobs import Job, run_jobs
from med3dinsight.workspace import Workspace
jobs = [Job(n, "s", stand_in_stages.run, stand_in_stages.Config(name=n, seconds=60)) for n in "ab"]
run_jobs(jobs, Workspace({work!r}), workers=2)
"""


def wait_until(true: object, seconds: float) -> bool:
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def is_alive(process: int) -> bool:
    """Whether a process runs; one that only waits to be noticed by its parent does not."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_within_a_second_of_their_parent_and_free_their_locks(
    stages: ModuleType, workspace: Workspace, how: signal.Signals
) -> None:
    code = PARENT.format(path=sys.path, work=str(workspace.root))
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    begun = [workspace.root / name / "begun" for name in "ab"]
    assert wait_until(lambda: all(path.exists() and path.read_text() for path in begun), 30)
    children = [int(path.read_text()) for path in begun]
    assert all(map(is_alive, children))
    parent.send_signal(how)
    parent.wait(timeout=10)
    assert wait_until(lambda: not any(map(is_alive, children)), 1.5)
    for name in "ab":
        with workspace.lock(name, wait_seconds=0.0):
            pass
