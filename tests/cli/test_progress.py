"""Progress: lines where there is no terminal, bars with the time left where there is one."""

from __future__ import annotations

import io
import sys

import pytest

from med3dinsight.cli import progress
from med3dinsight.cli.progress import watching, watching_one


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


def test_without_a_terminal_there_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 20.0, 21.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with watching() as watcher:
        watcher.begin("embed")
        for done in (1, 2, 3, 4):
            watcher.move("embed", done, 10, "liver")
        watcher.end("embed", 41.0, False)
        watcher.end("prepare", 0.0, True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "embed: started",
        "embed: 2 of 10, about 80 s left, liver",
        "embed: 4 of 10, about 60 s left, liver",
        "embed: done in 41.0 s",
        "prepare: complete already",
    ]


def test_on_a_terminal_there_is_a_bar_a_running_job(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    with watching() as watcher:
        watcher.begin("pretrain a-s0")
        watcher.begin("pretrain b-s0")
        watcher.move("pretrain a-s0", 30, 100, "loss 2.5")
        watcher.move("pretrain b-s0", 40, 100, "[loss]")
        watcher.end("pretrain a-s0", 3.0, False)
        watcher.end("prepare", 0.0, True)
    shown = terminal.getvalue()
    assert "pretrain a-s0: done in 3.0 s" in shown
    assert "prepare: complete already" in shown
    assert "40/100" in shown
    assert "[loss]" in shown, "a note is no markup"


def test_a_single_stage_has_the_same_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with watching_one("prepare") as report:
        report(1, 2)
        report(2, 2, "chest_ct")
    assert capsys.readouterr().err == "prepare: started\n"
