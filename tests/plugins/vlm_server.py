"""A real OpenAI-compatible server on loopback that runs a real vision-language model: HTTP, keys, JSON by schema.

Answers are computed one after the other, as one small machine would, while requests wait. It reads the
picture, so another picture gets another answer.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from med3dinsight.captions.asking.chat import RefusedError
from med3dinsight.captions.models.local_vlm import LocalVLM


@dataclass
class VLMServer:
    """Its address and its model's name, and how many answers it gave."""

    base_url: str
    model: str
    answers: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)


@contextlib.contextmanager
def vlm_server(folder: Path, *, key: str = "", vision: bool = True) -> Iterator[VLMServer]:
    """Serves the model in a folder under the folder's name.

    Args:
        folder: As ``save_tiny_vlm`` writes it.
        key: What requests must show, unless it is empty.
        vision: False: refuse pictures, as servers of models of language alone do.
    """
    vlm = LocalVLM(folder, device="cpu")
    listener = socket.create_server(("127.0.0.1", 0))
    facts = VLMServer(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", folder.name)
    count = threading.Lock()

    async def complete(request: Request) -> Response:
        body = json.loads(await request.body())
        if key and request.headers.get("authorization") != f"Bearer {key}":
            return _error(401, "Incorrect API key provided.", "invalid_api_key")
        if body["model"] != facts.model:
            return _error(404, f"The model `{body['model']}` does not exist.", "model_not_found")
        if not vision:
            return _error(400, f"{facts.model} is not a multimodal model", None)
        try:
            reply = await run_in_threadpool(vlm.answer, body)
        except RefusedError as error:
            return _error(400, error.message, "invalid_image")
        with count:
            facts.answers += 1
            facts.bodies.append(body)
            number = facts.answers
        message = {"role": "assistant", "content": reply.content}
        usage = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
        return JSONResponse(
            {
                "id": f"chatcmpl-{number}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": facts.model,
                "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason}],
                "usage": {**usage, "total_tokens": sum(tokens or 0 for tokens in usage.values())},
            }
        )

    app = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    settings = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", loop="asyncio", http="h11")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield facts
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _error(status: int, message: str, code: str | None) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error", "code": code}}, status)
