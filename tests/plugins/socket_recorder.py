"""A TCP server on loopback that keeps every byte that it is sent and answers each request as a chat model would."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ANSWER = {
    "modality": "CT",
    "plane": "axial",
    "position": "middle",
    "anatomy": ["body"],
    "appearance": "grey",
    "caption": "A slice of the body.",
}


class Recorder:
    """What came in.

    Attributes:
        address: Host and port.
        requests: ``(head, body)`` of every request, as bytes.
        answer: Status line, headers and body to answer with; None answers as a chat model.
    """

    def __init__(self) -> None:
        self.address = ("", 0)
        self.requests: list[tuple[bytes, bytes]] = []
        self.answer: bytes | None = None
        self.stray = b""

    @property
    def url(self) -> str:
        """The base URL."""
        return "http://{}:{}/v1".format(*self.address)

    @property
    def everything(self) -> bytes:
        """All bytes that came in."""
        return b"".join(head + body for head, body in self.requests) + self.stray


def chat_reply(content: str) -> bytes:
    """A whole HTTP answer with a chat completion."""
    body: dict[str, Any] = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "recorder",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}},
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Runs the server."""
    recorder = Recorder()
    lock = threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = self.rfile.readline()
                    if not line:
                        with lock:
                            recorder.stray += head
                        return
                    head += line
                lengths = [
                    int(row.split(b":")[1]) for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")
                ]
                body = self.rfile.read(lengths[0]) if lengths else b""
                with lock:
                    recorder.requests.append((head, body))
                self.wfile.write(recorder.answer or chat_reply(json.dumps(ANSWER)))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 128  # or connections are refused under load, and tried again

    with Server(("127.0.0.1", 0), Handler) as server:
        recorder.address = server.server_address
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()
