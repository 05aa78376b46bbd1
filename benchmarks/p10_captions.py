"""P10: captions through a server. Requests a second against a loopback server that takes 100 ms for each.

The server runs in a process of its own and does nothing but wait. Every measurement of ours is a whole run of asking in
a fresh process with one thread: slices are drawn to bodies with a picture of 60 KB, hashed, reserved on the disk, sent
by the OpenAI-compatible endpoint, read, checked, and written to the disk. Requests a second a core are those that the
asking process sends in a second of its own CPU time. Each is taken several times; medians count, all are told.

``peer`` is the server's own limit, concurrency over latency. Memory is the peak of a process's own memory over slices
that are queued, of a thousand different pictures, so that a million can be asked about in minutes.

    python benchmarks/p10_captions.py                    memory at 1000, 10,000, 100,000 and 1,000,000 slices
    python benchmarks/p10_captions.py 1000 10000         other counts

Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LATENCY = 0.1
REQUESTS = {16: 1600, 64: 3200}
ROUNDS = 3
COUNTS = [1000, 10_000, 100_000, 1_000_000]
FOUND_AGAIN = 100_000
PICTURE = "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUg" * 2730
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
ANSWER = {
    "modality": "CT",
    "plane": "axial",
    "position": "upper abdomen",
    "anatomy": ["liver", "spine"],
    "appearance": "bright bone, grey soft tissue",
    "caption": "An axial CT slice through the upper abdomen with the liver on the left of the picture.",
}


def serve() -> None:
    """Runs in the server's process: prints its port, then answers for ever."""
    message = {"role": "assistant", "content": json.dumps(ANSWER)}
    content = json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "model": "waiting",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 400, "completion_tokens": 60, "total_tokens": 460},
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    reply = head.encode() + content

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(lines.split(b"content-length:")[1].split(b"\r\n")[0]))
                await asyncio.sleep(LATENCY)
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 20)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())


@functools.cache
def prompt_to_ask() -> Any:
    """The prompt that asks for an answer by schema."""
    from med3dinsight.captions.prompts.prompt import load_prompt

    return load_prompt("describe")


def body(number: int) -> dict[str, Any]:
    """A whole chat-completions body."""
    from med3dinsight.captions.prompts.prompt import ViewFacts

    prompt = prompt_to_ask()
    messages = prompt.messages(ViewFacts("CT", "axial", f"at {number}"), b"")
    messages[-1]["content"][-1]["image_url"]["url"] = PICTURE
    rest = {"response_format": prompt.response_format, "temperature": 0, "max_tokens": 300}
    return {"model": "waiting", "messages": messages, **rest}


def jobs(count: int, different: int) -> Iterator[Any]:
    """Slices, every one with a fingerprint of its own."""
    from med3dinsight.captions.asking.jobs import Job

    for number in range(count):
        yield Job(f"s{number}", f"{number:064}", lambda number=number % different: body(number), "axial", "CT")


class Waiting:
    """A model in this process that answers at once: for the memory of what is around it."""

    async def complete(self, _: object) -> Any:
        from med3dinsight.captions.asking.chat import ChatReply

        await asyncio.sleep(0)
        return ChatReply(json.dumps(ANSWER), 400, 60, "waiting", "stop")


def measure(folder: Path, url: str, concurrency: int, count: int, different: int) -> None:
    """Runs in the child: asks about all, prints seconds, CPU seconds and the peak of memory."""
    from med3dinsight.captions.asking.asking import ask_all
    from med3dinsight.captions.models.openai_endpoint import OpenAIEndpoint
    from med3dinsight.captions.prompts.answer import parse_answer
    from med3dinsight.workspace.answer_ledger import AnswerLedger

    peaks = [0]
    threading.Thread(target=watch_memory, args=(peaks,), daemon=True).start()
    model = OpenAIEndpoint(url) if url else Waiting()
    with AnswerLedger(folder, create=True) as ledger:
        if url:  # libraries are loaded and connections made before the clock starts
            ask_all(jobs(1, 1), model, AnswerLedger(folder / "warm", create=True), parse=parse_answer, deliver=print_no)
        begun, cpu = time.perf_counter(), time.process_time()
        asked = ask_all(
            jobs(count, different), model, ledger, parse=parse_answer, deliver=print_no, concurrency=concurrency
        )
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    assert asked.answered == count
    print(
        json.dumps({"seconds": seconds, "cpu": cpu, "sent": asked.requests_sent, "peak_mib": peaks[0] / 1024}),
        flush=True,
    )


def print_no(_: object) -> None:
    """Takes what is done and forgets it."""


def watch_memory(peaks: list[int]) -> None:
    """Keeps the peak of the process's own memory, in KiB."""
    while True:
        status = Path("/proc/self/status").read_text()
        peaks[0] = max(peaks[0], int(status.split("RssAnon:")[1].split()[0]))
        time.sleep(0.02)


def child(folder: Path, url: str, concurrency: int, count: int, different: int) -> dict[str, float]:
    """Runs :func:`measure` in a process of its own."""
    words = [sys.executable, __file__, "--measure", str(folder), url, str(concurrency), str(count), str(different)]
    done = subprocess.run(words, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"asking failed:\n{done.stderr}")
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{concurrency} at a time, {count} slices: {row}", file=sys.stderr)
    return row


def main(counts: list[int]) -> None:
    """Measures all, prints the line."""
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
    rates: dict[int, list[float]] = {}
    a_core: dict[int, list[float]] = {}
    with tempfile.TemporaryDirectory() as root:
        for turn in range(ROUNDS):
            for concurrency, count in REQUESTS.items():
                row = child(Path(root) / f"{concurrency}-{turn}", url, concurrency, count, count)
                rates.setdefault(concurrency, []).append(round(count / row["seconds"], 1))
                a_core.setdefault(concurrency, []).append(round(count / row["cpu"], 1))
        server.terminate()
        server.wait()
        peaks = {count: round(child(Path(root) / f"m{count}", "", 16, count, 1000)["peak_mib"], 1) for count in counts}
        child(Path(root) / "again", "", 16, FOUND_AGAIN, 1000)
        again = child(Path(root) / "again", "", 16, FOUND_AGAIN, 1000)
    assert again["sent"] == 0
    ours, peer = statistics.median(rates[16]), 16 / LATENCY
    row = {
        "goal": "P10",
        "ours": ours,
        "peer": peer,
        "ratio": round(ours / peer, 3),
        "target": "0.85 of the limit at 16; 300 requests a second a core at 64; memory flat; 20,000 found a second",
        "requests_a_second": rates,
        "requests_a_second_a_core": a_core,
        "peak_mib": peaks,
        "found_again_a_second": round(FOUND_AGAIN / again["seconds"]),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve()
    elif sys.argv[1:2] == ["--measure"]:
        measure(Path(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:]))
    else:
        main([int(word) for word in sys.argv[1:]] or COUNTS)
