"""The endpoint against real HTTP on loopback: what is sent, and what each trouble becomes."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import pytest
from scripted_server import Scripted, completion, scripted_server

from med3dinsight.captions.asking.chat import BusyError, ChatReply, DownError, FatalError, RefusedError
from med3dinsight.captions.models.openai_endpoint import OpenAIEndpoint
from med3dinsight.errors import PrivacyError

BODY: dict[str, Any] = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "Say what you see."}],
    "temperature": 0,
    "some_server_only": {"guided": True},
}


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def ask(endpoint: OpenAIEndpoint, times: int = 1) -> ChatReply:
    async def asking() -> ChatReply:
        try:
            return [await endpoint.complete(BODY) for _ in range(times)][-1]
        finally:
            await endpoint.aclose()

    return asyncio.run(asking())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_body_is_sent_as_it_is_and_the_answer_comes_back() -> None:
    with scripted_server(Scripted()) as server:
        reply = ask(OpenAIEndpoint(server.base_url))
    assert reply == ChatReply("An axial CT slice.", 90, 7, "tiny-1", "stop")
    [(path, _, body)] = server.requests
    assert (path, body) == ("/v1/chat/completions", BODY)


def test_only_needed_headers_are_sent_whatever_the_environment_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", " k3y\n")
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "secret-project")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "admin")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Patient: Jane\nAuthorization: Bearer other")
    with scripted_server(Scripted()) as server:
        ask(OpenAIEndpoint(server.base_url, key_env="MY_KEY"))
    [(_, headers, body)] = server.requests
    allowed = {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent"}
    assert set(headers) == {*allowed, "authorization"}
    assert headers["authorization"] == "Bearer k3y"
    assert "k3y" not in json.dumps(body)


def test_without_a_key_none_is_sent_to_this_machine() -> None:
    with scripted_server(Scripted()) as server:
        ask(OpenAIEndpoint(server.base_url))
    assert "authorization" not in server.requests[0][1]


def test_no_proxy_stands_between_here_and_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with scripted_server(Scripted()) as server:
        assert ask(OpenAIEndpoint(server.base_url)).content


def test_a_redirect_is_not_followed() -> None:
    with scripted_server(Scripted()) as other:
        elsewhere = Scripted(307, b"", {"location": f"{other.base_url}/chat/completions"})
        with scripted_server(elsewhere) as server, pytest.raises(FatalError, match="sends elsewhere"):
            ask(OpenAIEndpoint(server.base_url))
    assert not other.requests


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Scripted(429, {"error": {"message": "slow down"}}, {"Retry-After": "3"}), BusyError, "slow down"),
        (Scripted(429, {"error": {"message": "x", "code": "insufficient_quota"}}), FatalError, "quota"),
        (Scripted(503, b"upstream"), DownError, "503"),
        (Scripted(500, b"<html>oops</html>"), DownError, "500"),
        (Scripted(401, {"error": {"message": "bad key k3y"}}), FatalError, "key is not accepted"),
        (Scripted(404, {"error": {"message": "m", "code": "model_not_found"}}), FatalError, "no such model"),
        (Scripted(404, b"404 page not found"), FatalError, "address"),
        (Scripted(400, {"error": {"message": "tiny is not a multimodal model"}}), FatalError, "cannot see"),
        (Scripted(400, {"error": {"message": "x", "code": "content_filter"}}), RefusedError, "400"),
        (Scripted(200, {"error": {"message": "later", "code": 429}}), BusyError, "later"),
        (Scripted(200, {"error": {"message": "upstream"}}), DownError, "upstream"),
        (Scripted(200, b'{"choices": [{"message": {"con'), DownError, "cut short"),
        (Scripted(200, {"text": "hello"}), DownError, "no chat completion"),
        (Scripted(200, b"<html>", {"content-type": "text/html"}), FatalError, "web page"),
        (Scripted(fault="reset"), DownError, "broke"),
        (Scripted(fault="cut"), DownError, "broke"),
    ],
)
def test_each_trouble_is_told_and_tried_once(
    reply: Scripted, kind: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "k3y")
    with scripted_server(reply) as server, pytest.raises(kind, match=words) as caught:
        ask(OpenAIEndpoint(server.base_url, key_env="MY_KEY"))
    assert len(server.requests) == 1
    assert "k3y" not in str(caught.value)
    if isinstance(caught.value, BusyError):
        assert caught.value.retry_after == (3.0 if reply.headers else None)
    if isinstance(caught.value, DownError):
        assert caught.value.maybe_paid


@pytest.mark.parametrize("reply", [Scripted(delay=1.0), Scripted(fault="drip")])
def test_a_slow_answer_ends_at_the_time_given(reply: Scripted) -> None:
    start = time.monotonic()
    with scripted_server(reply) as server, pytest.raises(DownError, match=r"no answer in 0\.3 s") as caught:
        ask(OpenAIEndpoint(server.base_url, timeout_seconds=0.3))
    assert caught.value.maybe_paid
    assert time.monotonic() - start < 5.0


def test_where_nothing_listens_the_run_ends_but_a_server_that_went_away_is_waited_for() -> None:
    with pytest.raises(FatalError, match="cannot connect"):
        ask(OpenAIEndpoint(f"http://127.0.0.1:{free_port()}/v1"))
    with scripted_server(Scripted(headers={"connection": "close"})) as server:
        endpoint = OpenAIEndpoint(server.base_url)
        ask(endpoint)
    with pytest.raises(DownError) as caught:
        ask(endpoint)
    assert not caught.value.maybe_paid


def test_one_endpoint_serves_one_event_loop_after_another() -> None:
    with scripted_server(Scripted()) as server:
        endpoint = OpenAIEndpoint(server.base_url)
        assert [ask(endpoint, 2).content for _ in range(3)] == ["An axial CT slice."] * 3
    assert len(server.requests) == 6


def test_many_are_asked_at_the_same_time() -> None:
    async def asking(endpoint: OpenAIEndpoint) -> None:
        await asyncio.gather(*(endpoint.complete(BODY) for _ in range(20)))
        await endpoint.aclose()

    with scripted_server(Scripted(delay=0.2, body=completion("x"))) as server:
        start = time.monotonic()
        asyncio.run(asking(OpenAIEndpoint(server.base_url)))
        assert time.monotonic() - start < 2.5  # 4 s one after the other


@pytest.mark.parametrize("key", ["", "  ", "two words", "käse", "a\nb", "a\x00b"])
def test_what_is_no_key_is_told_without_repeating_it(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"MY_KEY": key})
    with pytest.raises(FatalError, match="MY_KEY") as caught:
        OpenAIEndpoint("https://api.example.org/v1", key_env="MY_KEY")
    assert not key.strip() or key not in str(caught.value)


def test_an_address_elsewhere_must_be_https() -> None:
    with pytest.raises(PrivacyError):
        OpenAIEndpoint("http://api.example.org/v1")
