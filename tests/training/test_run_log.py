from __future__ import annotations

from pathlib import Path

from med3dinsight.training.run_log import RunLog, read_log


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl", 0)
    log.write(step=10, loss=2.5)
    log.write(step=20, loss=1.5)
    assert read_log(tmp_path / "log.jsonl") == [{"step": 10, "loss": 2.5}, {"step": 20, "loss": 1.5}]


def test_on_resume_rows_after_the_checkpoint_are_dropped_and_a_torn_last_line_too(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 10}\n{"step": 20}\n{"step": 30}\n{"st')
    assert [row["step"] for row in read_log(path)] == [10, 20, 30]
    log = RunLog(path, 20)
    log.write(step=30, again=True)
    assert read_log(path) == [{"step": 10}, {"step": 20}, {"step": 30, "again": True}]


def test_a_run_from_the_start_has_a_log_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 10}\n')
    RunLog(path, 0)
    assert read_log(path) == []
    assert read_log(tmp_path / "none.jsonl") == []
