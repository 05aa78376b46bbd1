"""Lines of Batch files, as services write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import completion

from med3dinsight.captions.asking.chat import ChatReply, DownError, FatalError, RefusedError
from med3dinsight.captions.models.batch_lines import read_line, request_line


def line(status: int, body: Any) -> bytes:
    return json.dumps({"custom_id": "q-1", "response": {"status_code": status, "body": body}, "error": None}).encode()


def test_a_request_carries_the_body_and_nothing_but_a_random_id() -> None:
    row = json.loads(request_line("q-1", {"model": "m", "messages": []}))
    assert row == {
        "custom_id": "q-1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": []},
    }


def test_an_answer_is_read() -> None:
    read = read_line(line(200, completion("liver")))
    assert (read.custom_id, read.result) == ("q-1", ChatReply("liver", 90, 7, "tiny-1", "stop"))


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (line(400, {"error": {"message": "no", "code": "content_filter"}}), RefusedError),
        (line(401, {"error": {"message": "no"}}), FatalError),
        (line(500, None), DownError),
        (line(200, {"choices": []}), DownError),
        (b'{"custom_id": "q-1", "response": null, "error": {"code": "batch_expired", "message": "late"}}', DownError),
        (b'{"custom_id": "q-1"}', DownError),
    ],
)
def test_what_is_no_answer_says_why(raw: bytes, kind: type[Exception]) -> None:
    read = read_line(raw)
    assert read.custom_id == "q-1" and type(read.result) is kind


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"id": 1}', b"\xff", line(200, completion())[:40]])
def test_a_line_that_is_cut_has_no_id(raw: bytes) -> None:
    assert read_line(raw).custom_id == ""


@settings(deadline=None)
@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_no_line_breaks_the_reading(value: Any) -> None:
    for row in (value, {"custom_id": "a", "response": value, "error": value}):
        assert read_line(json.dumps(row).encode()).result is not None
    assert read_line(line(200, value)).custom_id == read_line(line(418, value)).custom_id == "q-1"
