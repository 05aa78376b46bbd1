"""Every request is in the log before the model sees it, whatever becomes of it; without a log nothing is asked."""

from __future__ import annotations

import asyncio
import json

import pytest
from full_disk import disk_room

from med3dinsight.captions.asking.chat import BusyError, ChatReply, DownError, FatalError, RefusedError
from med3dinsight.captions.privacy.audit_log import AuditLog, check_audit_log
from med3dinsight.captions.privacy.logged_model import LoggedModel
from med3dinsight.errors import DiskFullError, WorkspaceError

BODY = {"model": "llava", "messages": [{"role": "user", "content": "SECRET QUESTION"}]}


class Model:
    """Answers, or raises, after it has looked at the log."""

    def __init__(self, path, outcome):
        self.path, self.outcome, self.seen = path, outcome, []

    async def complete(self, body):
        self.seen.append([json.loads(line) for line in self.path.read_text().splitlines()])
        await asyncio.sleep(0)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def ask(path, outcome):
    model = Model(path, outcome)
    with AuditLog(path) as log:
        try:
            return model, asyncio.run(LoggedModel(model, log, "127.0.0.1").complete(BODY))
        except BaseException as error:
            return model, error


def test_a_request_is_in_the_log_before_it_leaves_and_its_answer_after(tmp_path):
    path = tmp_path / "audit.jsonl"
    reply = ChatReply("SECRET ANSWER", 12, 34, "llava-1", "stop")
    model, got = ask(path, reply)
    assert got == reply
    (sent,) = model.seen[0]
    assert (sent["event"], sent["host"], sent["model"], sent["bytes"]) == ("sent", "127.0.0.1", "llava", 74)
    answered = json.loads(path.read_text().splitlines()[1])
    assert answered["request"] == sent["request"] and answered["status"] == "answered"
    assert (answered["prompt_tokens"], answered["completion_tokens"]) == (12, 34)
    assert "SECRET" not in path.read_text() and not check_audit_log(path).wrong


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BusyError("SECRET", 3.0), "busy"),
        (DownError("SECRET"), "down"),
        (RefusedError("SECRET"), "refused"),
        (FatalError("SECRET"), "fatal"),
        (ValueError("SECRET"), "failed"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_what_became_of_a_request_is_one_word_and_the_error_goes_on(tmp_path, error, status):
    path = tmp_path / "audit.jsonl"
    _, got = ask(path, error)
    assert isinstance(got, type(error))
    assert json.loads(path.read_text().splitlines()[1])["status"] == status
    assert "SECRET" not in path.read_text()


def test_where_the_log_cannot_be_written_nothing_is_asked(tmp_path):
    path = tmp_path / "audit.jsonl"
    model, log = Model(path, None), AuditLog(path)
    log.close()
    with pytest.raises(WorkspaceError, match="closed"):
        asyncio.run(LoggedModel(model, log, "127.0.0.1").complete(BODY))
    assert model.seen == []


def test_a_full_disk_loses_no_answer_and_nothing_is_asked_until_the_log_says_what_became_of_it(tmp_path):
    path = tmp_path / "audit.jsonl"
    reply = ChatReply("SECRET ANSWER", 12, 34, "llava-1", "stop")
    with disk_room() as room, AuditLog(path) as log:

        class Fills(Model):
            async def complete(self, body):
                room.take_away(path)
                return await super().complete(body)

        inner = Fills(path, reply)
        model = LoggedModel(inner, log, "127.0.0.1")
        assert asyncio.run(model.complete(BODY)) == reply
        with pytest.raises(DiskFullError):
            asyncio.run(model.complete(BODY))
        assert len(inner.seen) == 1
        with pytest.raises(DiskFullError):
            asyncio.run(model.aclose())
        room.give_back()
        asyncio.run(model.aclose())
        asyncio.run(model.aclose())
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["sent", "answered"]
    assert not check_audit_log(path).wrong
