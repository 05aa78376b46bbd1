"""What replies of servers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import completion

from med3dinsight.captions.asking.chat import BusyError, ChatReply, DownError, FatalError, RefusedError
from med3dinsight.captions.models.replies import error_of, read_reply, retry_after, said

BLIND = [
    (400, "Invalid content type. image_url is only supported by certain models."),
    (400, "tiny-1 is not a multimodal model"),
    (400, "At most 0 image(s) may be provided in one prompt."),
    (500, "image input is not supported - hint: you may need to provide the mmproj"),
    (404, "No endpoints found that support image input"),
    (400, "This model does not support images"),
]


def error(
    status: int, message: str = "no", seen: bool = False, headers: dict[str, str] | None = None, **more: Any
) -> Any:
    return error_of(status, headers or {}, {"error": {"message": message, **more}}, seen=seen, secret="k3y")


@pytest.mark.parametrize(("status", "message"), BLIND)
def test_a_model_without_vision_ends_the_run_unless_it_has_seen_before(status: int, message: str) -> None:
    fault = error(status, message)
    assert isinstance(fault, FatalError) and "cannot see" in fault.message
    assert "cannot see" not in str(error(status, message, seen=True))


def test_an_image_that_is_refused_is_no_blind_model() -> None:
    assert isinstance(error(400, "You uploaded an unsupported image."), RefusedError)


@pytest.mark.parametrize(
    ("status", "more", "kind"),
    [
        (400, {}, RefusedError),
        (400, {"code": "content_filter"}, RefusedError),
        (400, {"code": "unsupported_parameter"}, FatalError),
        (401, {}, FatalError),
        (402, {}, FatalError),
        (403, {}, FatalError),
        (404, {"code": "model_not_found"}, FatalError),
        (405, {}, FatalError),
        (408, {}, DownError),
        (413, {}, RefusedError),
        (422, {}, RefusedError),
        (429, {}, BusyError),
        (429, {"code": "insufficient_quota"}, FatalError),
        (429, {"type": "insufficient_quota"}, FatalError),
        (500, {}, DownError),
        (502, {}, DownError),
        (503, {}, DownError),
        (529, {}, BusyError),
        (307, {}, FatalError),
    ],
)
def test_statuses_and_codes(status: int, more: dict[str, Any], kind: type[Exception]) -> None:
    assert type(error(status, **more)) is kind


def test_a_503_that_says_when_to_come_back_is_busy() -> None:
    fault = error(503, headers={"retry-after": "7"})
    assert isinstance(fault, BusyError) and fault.retry_after == 7.0


@pytest.mark.parametrize(
    "body", [None, "", "<html>", [], {"error": None}, {"error": "text"}, {"detail": [{"loc": 1}]}, 3]
)
def test_any_error_body_is_read(body: object) -> None:
    assert isinstance(error_of(400, {}, body, seen=False, secret=""), RefusedError)


def test_the_key_and_control_characters_are_never_repeated() -> None:
    fault = error(401, "Incorrect API key provided: k3y\x1b[2J\n" + "x" * 5000)
    assert "k3y" not in str(fault) and "\x1b" not in str(fault) and len(fault.message) < 300


def test_an_answer_is_read_with_what_it_costs() -> None:
    assert read_reply(json.dumps(completion("liver")).encode()) == ChatReply("liver", 90, 7, "tiny-1", "stop")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None}, ""),
        ({"content": None, "refusal": "I cannot."}, "I cannot."),
        ({"content": [{"type": "text", "text": "li"}, {"type": "text", "text": "ver"}]}, "liver"),
        ({"content": 3}, ""),
        ({}, ""),
    ],
)
def test_other_forms_of_an_answer(message: dict[str, Any], text: str) -> None:
    body = completion(choices=[{"message": message, "finish_reason": None}], usage={"prompt_tokens": -1})
    reply = read_reply(json.dumps(body).encode())
    assert isinstance(reply, ChatReply)
    assert (reply.content, reply.prompt_tokens, reply.finish_reason) == (text, None, "stop")


@pytest.mark.parametrize(
    "body", [b"", b'{"choices": [{"mess', b"[]", b"null", b'{"choices": []}', b"\xff", b"[" * 200_000]
)
def test_half_an_answer_is_none(body: bytes) -> None:
    with pytest.raises(DownError):
        read_reply(body)


@settings(deadline=None)
@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_no_answer_breaks_the_reading(payload: Any) -> None:
    for body in (payload, {"choices": [payload]}, {"choices": [{"message": payload}]}, completion(usage=payload)):
        try:
            assert read_reply(json.dumps(body).encode()) is not None
        except DownError as fault:
            assert fault.maybe_paid


def test_a_date_to_come_back_at_is_counted_from_now() -> None:
    assert retry_after({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, now=1792567670.0) == 10.0
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "1e999"])
def test_a_wait_that_is_none_is_left_out(value: str) -> None:
    assert retry_after({"retry-after": value}) is None


@given(st.text())
def test_words_of_a_server_are_one_short_printable_line(text: str) -> None:
    line = said(text)
    assert len(line) <= 200 and line.isprintable()
