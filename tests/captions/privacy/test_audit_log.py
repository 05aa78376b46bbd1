"""The log of requests: whole after kills, several writers, and any change of it shows."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.captions.privacy.audit_log import AuditLog, check_audit_log
from med3dinsight.captions.privacy.guard import check_may_send
from med3dinsight.errors import DiskFullError, WorkspaceError


def write(path, count, host="127.0.0.1"):
    with AuditLog(path) as log:
        for number in range(count):
            request = log.sent(host=host, model="llava", num_bytes=number, body_sha256=f"{number:064x}")
            log.answered(request, status="200", prompt_tokens=3, completion_tokens=4)


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_what_was_sent_where_and_when_and_nothing_of_its_content(tmp_path):
    write(tmp_path / "audit.jsonl", 1)
    sent, answered = rows(tmp_path / "audit.jsonl")
    assert set(sent) == {"time", "event", "request", "host", "model", "bytes", "body_sha256", "previous"}
    assert sent["request"] == answered["request"] and len(sent["request"]) == 32
    assert (answered["status"], answered["prompt_tokens"], answered["completion_tokens"]) == ("200", 3, 4)
    assert time.strptime(sent["time"][:19], "%Y-%m-%dT%H:%M:%S") and sent["time"].endswith("+00:00")
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o077 == 0


def test_whose_word_it_was_is_in_the_log(tmp_path, case, policy):
    path = tmp_path / "audit.jsonl"
    permission = check_may_send([case()], "https://api.example.com/v1", allow_remote=True, policy=policy())
    with AuditLog(path) as log:
        log.allowed(permission)
        log.allowed(check_may_send([case()], "http://127.0.0.1/v1"))
    remote, local = rows(path)
    assert remote["decided_by"] == "Dr. Example" and remote["policy_sha256"] == permission.policy_sha256
    assert (remote["decided_on"], remote["remote"], local["remote"]) == ("2026-03-01", True, False)
    assert (remote["run_by"], local["run_by"]) == ("api.example.com", "127.0.0.1")


@given(st.data())
def test_any_change_before_the_last_line_shows(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("log") / "audit.jsonl"
    write(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 2))
    match data.draw(st.sampled_from(["cut", "byte", "swap", "again"])):
        case "cut":
            del lines[place]
        case "swap":
            lines[place], lines[place + 1] = lines[place + 1], lines[place]
        case "again":
            lines.insert(place, lines[place])
        case _:
            at = data.draw(st.integers(0, len(lines[place]) - 2))
            lines[place] = lines[place][:at] + bytes([lines[place][at] ^ 1]) + lines[place][at + 1 :]
    path.write_bytes(b"".join(lines))
    assert check_audit_log(path).wrong


def test_lines_cut_off_at_the_end_show_by_the_head_that_was_kept(tmp_path):
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        log.sent(host="h", model="m", num_bytes=1, body_sha256="")
        before = log.head
        log.sent(host="h", model="m", num_bytes=1, body_sha256="")
        assert log.head != before


def test_going_on_with_a_log_keeps_its_chain(tmp_path):
    for _ in range(3):
        write(tmp_path / "audit.jsonl", 2)
    check = check_audit_log(tmp_path / "audit.jsonl")
    assert (check.lines, check.wrong) == (12, ())


def test_a_line_that_was_cut_by_a_kill_stays_and_is_told_and_the_next_ones_are_whole(tmp_path):
    path = tmp_path / "audit.jsonl"
    write(path, 2)
    with path.open("ab") as file:
        file.write(b'{"time": "2026')
    assert check_audit_log(path).wrong == (5,)
    write(path, 1)
    check = check_audit_log(path)
    assert (check.lines, check.wrong) == (7, (5,))


def test_threads_and_processes_write_one_chain(tmp_path):
    path = tmp_path / "audit.jsonl"
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=write, args=(path, 50, f"host{number}")) for number in range(2)]
    for other in others:
        other.start()
    with AuditLog(path) as log, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: log.sent(host="h", model="m", num_bytes=n, body_sha256=""), range(100)))
    for other in others:
        other.join()
        assert other.exitcode == 0
    check = check_audit_log(path)
    assert (check.lines, check.wrong) == (300, ())


def test_a_killed_process_has_lost_no_line_that_it_wrote(tmp_path):
    path = tmp_path / "audit.jsonl"
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def go():
        log = AuditLog(path)
        while True:
            sender.send(log.sent(host="h", model="m", num_bytes=1, body_sha256=""))

    process = context.Process(target=go)
    process.start()
    told = [receiver.recv() for _ in range(200)]
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    written = {json.loads(line)["request"] for line in path.read_bytes().splitlines() if line.endswith(b"}")}
    assert written >= set(told) and not check_audit_log(path).wrong


def test_a_full_disk_is_a_users_error_and_the_chain_goes_on_after_it(tmp_path):
    path = tmp_path / "audit.jsonl"
    write(path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    log = AuditLog(path)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
        with pytest.raises(DiskFullError):
            log.sent(host="h", model="m", num_bytes=1, body_sha256="")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    log.sent(host="h", model="m", num_bytes=1, body_sha256="")
    log.close()
    check = check_audit_log(path)
    assert (check.lines, check.wrong) == (3, ()), "what did not fit is not there"


def test_a_log_that_cannot_be_written_or_read_is_a_users_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError):
        AuditLog(tmp_path / "file" / "audit.jsonl")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        check_audit_log(tmp_path / "missing.jsonl")
    log = AuditLog(tmp_path / "audit.jsonl")
    log.close()
    log.close()
    with pytest.raises(WorkspaceError, match="closed"):
        log.sent(host="h", model="m", num_bytes=1, body_sha256="")
