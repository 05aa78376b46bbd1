"""The engine local: order, bounds, deaths and interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import item_functions
import pytest

from med3dinsight.engines import ENGINES, Failed
from med3dinsight.engines.local import WINDOW, run_local
from med3dinsight.errors import DiskFullError

INTERRUPTED = """
import sys
import item_functions
from med3dinsight.engines.local import run_local
list(run_local(item_functions.sleep_long, sys.argv[1:], 2))
"""


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    assert list(ENGINES["local"](item_functions.double, range(11), workers)) == [2 * item for item in range(11)]


def test_no_items_are_no_results() -> None:
    assert list(run_local(item_functions.double, [], 2)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_items_are_values_and_the_rest_goes_on(workers: int) -> None:
    results = list(run_local(item_functions.fail, ["a", "input", "memory", "bug", "b"], workers))
    assert (results[0], results[4]) == ("a", "b")
    assert results[1] == Failed("it is bad", "mend it")
    assert (results[2].expected, results[3].expected) == (False, False)
    assert "lack of memory" in results[2].reason
    assert results[3].reason == r"unexpected KeyError: 'nobody\nthought of this'"
    assert "item_functions.py:" in results[3].hint


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_that_is_not_about_an_item_ends_the_work(workers: int) -> None:
    with pytest.raises(DiskFullError, match="no space"):
        list(run_local(item_functions.fail, ["a", "disk", "b"], workers))


def test_an_item_whose_process_dies_is_tried_once_more(tmp_path: Path) -> None:
    items = ["a", str(tmp_path / "first time"), "b", "c"]
    assert list(run_local(item_functions.die, items, 2)) == items


def test_an_item_whose_process_dies_twice_has_failed_and_the_rest_goes_on() -> None:
    results = list(run_local(item_functions.die, ["a", "deadly", "b", "deadly", "c", "d"], 2))
    assert [result for result in results if not isinstance(result, Failed)] == ["a", "b", "c", "d"]
    assert "killed twice" in results[1].reason
    assert not results[1].expected
    assert results[3] == results[1]


def test_workers_are_processes_of_their_own_with_one_thread_each() -> None:
    told = list(run_local(item_functions.threads, range(8), 2))
    assert 1 <= len({process for process, _ in told} - {os.getpid()}) <= 2
    assert {count for _, count in told} == {"1"}


def test_no_more_items_are_in_work_than_workers(tmp_path: Path) -> None:
    assert set(run_local(item_functions.note_presence, [str(tmp_path)] * 12, 2)) == {1, 2}


def test_no_more_items_are_taken_than_the_window_allows() -> None:
    taken = 0

    def items():
        nonlocal taken
        for item in range(50):
            taken += 1
            yield item

    results = run_local(item_functions.double, items(), 2)
    for number in range(10):
        next(results)
        assert taken <= number + 2 + 2 * WINDOW
    results.close()


def test_leaving_early_ends_the_processes(tmp_path: Path) -> None:
    results = run_local(item_functions.threads, range(100), 2)
    process, _ = next(results)
    results.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_function_with_bound_arguments_can_be_sent() -> None:
    assert list(run_local(partial(pow, 2), [1, 2, 3], 2)) == [2, 4, 8]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_their_parent(tmp_path: Path, sign: signal.Signals) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    parent = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *map(str, files)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not all(file.exists() and file.read_text() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    parent.send_signal(sign)
    assert parent.wait(timeout=5) == -sign
    deadline = time.monotonic() + 5
    for file in files:
        while Path(f"/proc/{file.read_text()}").exists():
            assert time.monotonic() < deadline, "a worker outlives its parent"
            time.sleep(0.02)
