"""Any OpenAI-compatible endpoint over HTTP: OpenAI, Azure, vLLM, Ollama, llama.cpp and others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..asking.chat import ChatReply, DownError, FatalError
from ..privacy.address import parse_address
from .replies import error_of, read_reply, said

if TYPE_CHECKING:
    import httpx2
    import openai

#: All that is sent beside the body; whatever else a library or the environment would add is taken away.
_SENT_HEADERS = frozenset(
    ("host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent")
)
#: Shorter than the 5 s after which common servers close an idle connection, which would look like a failure.
_IDLE_SECONDS = 4.0
_CONNECT_SECONDS = 10.0


class OpenAIEndpoint:
    """Answers chat-completions bodies by an endpoint. Each is tried once; nothing is followed to another address.

    An endpoint on this machine is reached directly, never through a proxy. To others the system's proxy may be used,
    through which https is still closed to all but the endpoint.

    Args:
        base_url: Such as ``http://127.0.0.1:8000/v1``.
        key_env: Name of the environment variable that holds the key; the key is read once, and kept nowhere else.
        timeout_seconds: Longest wait for one whole answer.

    Raises:
        PrivacyError: The address is no plain URL, or is elsewhere and not https.
        FatalError: The variable holds no key and the endpoint is not on this machine, or it holds no possible key.

    Example:
        >>> endpoint = OpenAIEndpoint("http://127.0.0.1:8000/v1", key_env="NO_SUCH_VARIABLE")
        >>> endpoint.address.loopback
        True
    """

    def __init__(self, base_url: str, *, key_env: str = "OPENAI_API_KEY", timeout_seconds: float = 120.0) -> None:
        self.address = parse_address(base_url)
        self._timeout = timeout_seconds
        self._key = _read_key(key_env, needed=not self.address.loopback)
        self._client: openai.AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reached = self._seen = False

    async def complete(self, body: Mapping[str, Any]) -> ChatReply:
        """Returns the answer to one body.

        Args:
            body: Of chat completions.

        Raises:
            BusyError: 429, or 503 with Retry-After.
            DownError: Timeout, 5xx, a broken connection, or half an answer.
            RefusedError: The endpoint will not answer this body.
            FatalError: The key, the address, the model or the quota is at fault.
        """
        import httpx2
        import openai

        client = self._client_of_this_loop()
        try:
            async with asyncio.timeout(self._timeout):
                reply = await client.post("/chat/completions", cast_to=httpx2.Response, body=dict(body))
        except (TimeoutError, openai.APITimeoutError) as error:
            connecting = isinstance(error.__cause__, httpx2.ConnectTimeout | httpx2.PoolTimeout)
            raise DownError(f"no answer in {self._timeout:g} s", maybe_paid=not connecting) from None
        except openai.APIStatusError as error:
            self._reached = True
            fault = error_of(
                error.status_code,
                error.response.headers,
                error.body if error.body is not None else error.response.text,
                seen=self._seen,
                secret=self._key,
            )
            raise fault from None
        except openai.APIConnectionError as error:
            raise self._unconnected(error.__cause__) from None
        except httpx2.HTTPError as error:
            raise DownError(f"the connection broke: {said(error, self._key)}") from None
        return self._read(reply)

    async def aclose(self) -> None:
        """Closes the connections; to be awaited in the event loop that asked."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    def _read(self, reply: httpx2.Response) -> ChatReply:
        if not self._reached and "html" in reply.headers.get("content-type", ""):
            raise FatalError(
                f"{self.address.url} answers with a web page", "check --base-url, which usually ends in /v1"
            )
        self._reached = True
        answer = read_reply(reply.content)
        if isinstance(answer, ChatReply):
            self._seen = True
            return answer
        code = answer.get("code")
        status = code if isinstance(code, int) and 400 <= code < 600 else 502
        raise error_of(status, reply.headers, answer, seen=self._seen, secret=self._key)

    def _unconnected(self, cause: BaseException | None) -> Exception:
        import httpx2

        place, why = f"{self.address.host}:{self.address.port}", said(str(cause) or type(cause).__name__, self._key)
        if "CERTIFICATE_VERIFY_FAILED" in why:
            return FatalError(
                f"{place} has no valid certificate: {why}", "check --base-url, or the system's certificates"
            )
        if not isinstance(cause, httpx2.ConnectError):
            return DownError(f"the connection broke: {why}")
        if not self._reached:
            return FatalError(f"cannot connect to {place}: {why}", "check --base-url, and that the server runs")
        return DownError(f"cannot connect to {place}: {why}", maybe_paid=False)

    def _client_of_this_loop(self) -> openai.AsyncOpenAI:
        """A client must not cross event loops: each loop gets its own."""
        import httpx2
        import openai

        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            http = httpx2.AsyncClient(
                trust_env=not self.address.loopback,
                follow_redirects=False,
                timeout=httpx2.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout), pool=None),
                limits=httpx2.Limits(keepalive_expiry=_IDLE_SECONDS),
                event_hooks={"request": [self._only_what_is_needed]},
            )
            self._client = openai.AsyncOpenAI(
                base_url=self.address.url, api_key=self._key or "none", max_retries=0, http_client=http
            )
            self._loop = loop
        return self._client

    async def _only_what_is_needed(self, request: httpx2.Request) -> None:
        """Runs last: neither netrc nor variables of the environment add a header or change the key."""
        for name in [name for name in request.headers if name.lower() not in _SENT_HEADERS]:
            del request.headers[name]
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"


def _read_key(variable: str, *, needed: bool) -> str:
    key = os.environ.get(variable, "").strip()
    if not key and needed:
        raise FatalError(f"the environment variable {variable} holds no key", f"set it: export {variable}=...")
    if not (key.isascii() and all(char.isprintable() and char != " " for char in key)):
        raise FatalError(f"what {variable} holds cannot be a key", "set it to the key alone, on one line")
    return key
