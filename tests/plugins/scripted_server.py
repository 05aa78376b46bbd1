"""A loopback HTTP server that answers with what a test wrote down, also with what no server should send."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def completion(content: object = "An axial CT slice.", **changes: Any) -> dict[str, Any]:
    """The body of a chat completion."""
    message = {"role": "assistant", "content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "tiny-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 90, "completion_tokens": 7, "total_tokens": 97},
        **changes,
    }


@dataclass
class Scripted:
    """One reply: status, body (dumped unless bytes), headers, and what goes wrong.

    ``fault``: "reset" breaks the connection without a reply; "cut" after half of the body; "drip" sends it slowly.
    """

    status: int = 200
    body: object = field(default_factory=completion)
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    fault: str = ""


@dataclass
class ScriptedServer:
    """Its address, and all that it was sent: (path, headers by lower-case name, parsed body)."""

    base_url: str
    replies: list[Scripted]
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


@contextlib.contextmanager
def scripted_server(*replies: Scripted) -> Iterator[ScriptedServer]:
    """Serves the replies one after the other; the last one for ever."""
    script = ScriptedServer("", list(replies))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                script.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                reply = script.replies.pop(0) if len(script.replies) > 1 else script.replies[0]
            time.sleep(reply.delay)
            with contextlib.suppress(OSError):
                self._send(reply)

        def _send(self, reply: Scripted) -> None:
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            if reply.fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {"content-type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            if reply.fault == "cut":
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
            elif reply.fault == "drip":
                for byte in data:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.02)
            else:
                self.wfile.write(data)

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    script.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
