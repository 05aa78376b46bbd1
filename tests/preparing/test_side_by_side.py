"""Preparing with workers: the same bytes whatever their number and the engine, whatever happens to them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import med3dinsight
from med3dinsight.errors import Med3DInsightError
from med3dinsight.jobs import Job, run_jobs
from med3dinsight.preparing import packing
from med3dinsight.preparing.run import run
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_store import VoxelStore, read_manifest

#: Kills itself a moment after so many steps in the files of the workspace, counted from the first scan that is done.
KILLED = """
import os, signal, sys, threading, time
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.run import run
from med3dinsight.workspace import Workspace

source, root, steps, seconds = *sys.argv[1:3], int(sys.argv[3]), float(sys.argv[4])
done = -1

def kill():
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)

def count(event, args):
    global done
    if event in ("open", "os.rename", "os.remove") and str(args[0]).startswith(root):
        if done >= 0 or str(args[0]).endswith("manifest.jsonl") and args[1] == "a":
            done += 1
        if done == steps:
            threading.Thread(target=kill).start()

config = PrepareConfig(source=source, protocol="native", spacing_mm=0.2, workers=2)
sys.addaudithook(count)
run(config, Workspace(root))
"""


@pytest.fixture
def many(tmp_path, scan) -> Path:
    """Nine people, two of whose scans are broken in different ways."""
    source = tmp_path / "scans"
    for number in range(9):
        scan(source, f"p{number}", seed=number, label=number % 3 == 0)
    broken = scan(source, "p2x", seed=50)
    broken.write_bytes(broken.read_bytes()[:-30])
    (source / "p4x.nii").write_bytes(b"no image")
    return source


@pytest.mark.parametrize("protocol", ["native", "cube128"])
def test_the_store_is_the_same_for_any_number_of_workers(many, tmp_path, settings, content, protocol):
    stores = {}
    for workers in (1, 2, 3):
        work = Workspace(tmp_path / f"work{workers}", create=True)
        result = run(settings(many, workers=workers, protocol=protocol, cube_size=16), work)
        assert (result.prepared, len(result.left_out)) == (9, 2)
        stores[workers] = content(work), [(item.file, item.reason) for item in result.left_out]
    assert stores[2] == stores[1]
    assert stores[3] == stores[1]


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_the_store_is_the_same_on_ray(many, tmp_path, settings, content, monkeypatch):
    works = [Workspace(tmp_path / name, create=True) for name in ("local", "ray")]
    run(settings(many), works[0])
    result = run(settings(many, engine="ray", workers=2), works[1])
    assert (result.prepared, len(result.left_out)) == (9, 2)
    assert content(works[1]) == content(works[0])


def test_a_job_of_a_study_has_workers_of_its_own(many, tmp_path, settings, content):
    works = [Workspace(tmp_path / name, create=True) for name in ("here", "job")]
    run(settings(many), works[0])
    (outcome,) = run_jobs([Job("prepare", "prepare", run, settings(many, workers=2))], works[1])
    assert outcome.result.prepared == 9
    assert content(works[1]) == content(works[0])


def test_workers_and_engine_are_no_part_of_what_was_done(many, workspace, settings):
    run(settings(many), workspace)
    assert run(settings(many, workers=3, engine="ray"), workspace).done_before


def test_a_bug_in_one_scan_leaves_it_out_and_says_that_it_is_unexpected(many, workspace, settings, monkeypatch):
    whole = packing.prepare_source

    def buggy(source, config):
        if source.id == "p3-image":
            raise IndexError("nobody thought of this")
        if source.id == "p5-image":
            raise MemoryError
        return whole(source, config)

    monkeypatch.setattr(packing, "prepare_source", buggy)
    result = run(settings(many), workspace)
    assert result.prepared == 7
    reasons = {Path(item.file).parent.name: item.reason for item in result.left_out}
    assert reasons["p3"] == "unexpected IndexError: nobody thought of this"
    assert "unexpected lack of memory" in reasons["p5"]
    monkeypatch.setattr(packing, "prepare_source", lambda *_: 1 / 0)
    with pytest.raises(Med3DInsightError, match="nothing could be prepared") as error:
        run(settings(many, spacing_mm=1.0), workspace)
    assert error.value.exit_code == 1


@pytest.mark.slow
def test_killed_at_any_moment_the_next_run_ends_with_the_same_bytes(tmp_path, scan, settings, content):
    source = tmp_path / "scans"
    for number in range(24):
        scan(source, f"p{number:02d}", seed=number, label=number % 2 == 0)
    fresh = Workspace(tmp_path / "fresh", create=True)
    run(settings(source, spacing_mm=0.2), fresh)
    killed = Workspace(tmp_path / "killed", create=True)
    environment = {**os.environ, "PYTHONPATH": str(Path(med3dinsight.__file__).parents[1])}
    dice, counts = random.Random(0), []
    for _ in range(6):
        steps, seconds = str(dice.randint(1, 24)), str(dice.uniform(0, 0.002))
        command = [sys.executable, "-c", KILLED, str(source), str(killed.root), steps, seconds]
        assert subprocess.run(command, env=environment, timeout=120, check=False).returncode in (0, -signal.SIGKILL)
        counts.append(len(read_manifest(killed.prepared)))
        assert list(VoxelStore(killed.prepared).verify()) == []
    assert counts == sorted(counts)
    assert counts[0] < 24, "the first run was not killed in the middle"
    run(settings(source, spacing_mm=0.2, workers=2), killed)
    assert content(killed) == content(fresh)
