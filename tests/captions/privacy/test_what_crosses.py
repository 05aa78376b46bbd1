"""Watches the socket: nothing that headers, tables, paths and names of the scans say ever crosses it."""

from __future__ import annotations

import asyncio
import json
import socket
from io import BytesIO

import numpy as np
import pytest
from marked_scans import Markers, write_marked
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from socket_recorder import Recorder, recording
from tests.conftest import write_dicom_series
from wire_search import bare_pixels, found, pictures

from med3dinsight.captions.asking.asking import ask_all
from med3dinsight.captions.asking.chat import DownError, FatalError, RefusedError
from med3dinsight.captions.asking.jobs import Job
from med3dinsight.captions.asking.requests import key_of, picture_of, slice_fingerprint
from med3dinsight.captions.models.openai_endpoint import OpenAIEndpoint
from med3dinsight.captions.privacy.audit_log import AuditLog, check_audit_log
from med3dinsight.captions.privacy.guard import check_may_send
from med3dinsight.captions.privacy.logged_model import LoggedModel
from med3dinsight.captions.prompts.answer import parse_answer
from med3dinsight.captions.prompts.prompt import ViewFacts, load_prompt
from med3dinsight.preparing import run
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.records import Crop, SliceRef
from med3dinsight.slices.rendering import SliceRenderer
from med3dinsight.types import Plane
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.answer_ledger import AnswerLedger
from med3dinsight.workspace.voxel_store import VoxelStore

KEY = "key-of-the-endpoint"


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A workspace of three marked scans, and all words that must stay in it."""
    root, markers = tmp_path_factory.mktemp("scans"), Markers()
    source = write_marked(root / markers.text("Source"), markers, write_dicom_series)
    work = Workspace(root / markers.text("Work"), create=True)
    result = run(PrepareConfig(source=str(source), protocol="native", workers=1), work)
    assert (result.prepared, result.left_out) == (3, ())
    store = VoxelStore(work.prepared)
    hashes = [
        value for case in store.cases.values() for value in (case.source_sha256, case.voxel_sha256, case.content_sha256)
    ]
    assert len(markers.made) > 800 and set(store.cases) <= set(markers.made)
    return store, work, [*markers.made, *hashes, str(root), root.name]


def views(store):
    renderer = SliceRenderer(store)
    for case in store.cases:
        for plane in Plane:
            ref = SliceRef(Crop(case, (0, 0, 0), 24), plane, 8)
            yield ref, renderer.view(ref)


def body_of(view, **changes):
    prompt = load_prompt("describe")
    messages = prompt.messages(ViewFacts.of(view), picture_of(view, 64))
    settings = {"model": "recorder", "temperature": 0, "max_tokens": 300}
    return {**settings, "messages": messages, "response_format": prompt.response_format, **changes}


class Endpoint:
    """A new connection for every request."""

    def __init__(self, url):
        self.url = url

    async def complete(self, body):
        return await once(OpenAIEndpoint(self.url, key_env="RECORDER_KEY"), body)


def ask_about_all(store, work, url, log):
    jobs = [
        Job(
            slice_key=ref.key,
            fingerprint=slice_fingerprint(
                voxels=store.cases[ref.crop.case].voxel_sha256,
                origin=ref.crop.origin,
                size=ref.crop.size,
                plane=ref.plane.name,
                index=ref.index,
                settings={},
            ),
            body=lambda view=view: body_of(view),
        )
        for ref, view in views(store)
    ]
    model = LoggedModel(Endpoint(url), log, "127.0.0.1")
    delivered = []
    with AnswerLedger(work.asked, create=True) as ledger:
        asked = ask_all(jobs, model, ledger, parse=parse_answer, deliver=delivered.extend)
    return asked, jobs


async def once(endpoint, body):
    try:
        return await endpoint.complete(body)
    finally:
        await endpoint.aclose()


@pytest.fixture
def environment(monkeypatch):
    """Variables that libraries would add to a request, or be led astray by."""
    monkeypatch.setenv("RECORDER_KEY", KEY)
    names = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "OPENAI_CUSTOM_HEADERS")
    for name in names:
        monkeypatch.setenv(name, f"x-{name}: secret-of-{name}")
    with recording() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        yield proxy, [f"secret-of-{name}" for name in names]


def test_nothing_but_pixels_and_the_prompt_crosses_the_socket(scans, environment, tmp_path):
    store, work, words = scans
    proxy, secrets = environment
    cases = list(store.cases.values())
    with recording() as recorder, AuditLog(tmp_path / "audit.jsonl") as log:
        log.allowed(check_may_send(cases, recorder.url))
        asked, jobs = ask_about_all(store, work, recorder.url, log)
    assert (asked.answered, len(recorder.requests)) == (9, asked.requests_sent)

    told = [*words, *secrets, *(job.slice_key for job in jobs), *(job.fingerprint for job in jobs)]
    told += [name for name in (socket.gethostname(),) if len(name) > 5]
    crossed = recorder.everything
    assert found(told, crossed) == []
    assert proxy.everything == b""

    rendered = sorted(picture_of(view, 64) for _, view in views(store))
    sent = sorted(picture for _, body in recorder.requests for picture in pictures(body))
    assert sent == sorted(set(rendered))
    for picture in sent:
        assert bare_pixels(picture).shape == (64, 64)
        # Pixels are numbers: what is no picture any more must not read as words either.
        assert found(told, bare_pixels(picture).tobytes()) == []
    for head, body in recorder.requests:
        lines = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line]
        assert set(lines) <= {
            b"host", b"accept", b"accept-encoding", b"connection", b"content-type", b"content-length", b"user-agent",
            b"authorization",
        }  # fmt: skip
        assert KEY.encode() not in body
        assert set(json.loads(body)) == {"model", "temperature", "max_tokens", "messages", "response_format"}


def test_the_log_says_what_crossed_and_holds_no_word_of_the_scans(scans, environment, tmp_path):
    store, _, words = scans
    path = tmp_path / "audit.jsonl"
    fresh = Workspace(tmp_path / "fresh", create=True)
    with recording() as recorder, AuditLog(path) as log:
        ask_about_all(store, fresh, recorder.url, log)
    assert found([*words, KEY], path.read_bytes()) == []
    assert not check_audit_log(path).wrong
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    sent = {row["body_sha256"] for row in rows if row["event"] == "sent"}
    assert sent == {key_of(json.loads(body)) for _, body in recorder.requests}


@pytest.mark.parametrize("status", [b"301 Moved Permanently", b"302 Found", b"307 Temporary Redirect"])
def test_no_redirect_is_followed_to_another_address(scans, environment, status):
    store, _, _ = scans
    _, view = next(views(store))
    with recording() as recorder, recording() as other:
        recorder.answer = b"HTTP/1.1 %s\r\nlocation: %s/chat/completions\r\ncontent-length: 0\r\n\r\n" % (
            status,
            other.url.encode(),
        )
        endpoint = OpenAIEndpoint(recorder.url, key_env="RECORDER_KEY")
        with pytest.raises((DownError, FatalError, RefusedError)):
            asyncio.run(once(endpoint, body_of(view)))
    assert len(recorder.requests) == 1 and other.everything == b""


def leak(recorder: Recorder, body) -> bytes:
    asyncio.run(once(OpenAIEndpoint(recorder.url, key_env="RECORDER_KEY"), body))
    return recorder.everything


@pytest.mark.parametrize("place", ["user", "messages", "model"])
def test_the_search_finds_a_word_that_crosses(scans, environment, place):
    store, _, words = scans
    ref, view = next(views(store))
    case = store.cases[ref.crop.case]
    body = body_of(view)
    if place == "messages":
        body["messages"][-1]["content"][0]["text"] += f" File: {case.image}"
    else:
        body[place] = case.subject
    with recording() as recorder:
        hits = found(words, leak(recorder, body))
    assert case.subject in hits if place != "messages" else any(case.image.endswith(word) for word in hits)


def test_the_search_finds_words_inside_a_picture(scans):
    store, _, words = scans
    ref, view = next(views(store))
    case = store.cases[ref.crop.case]
    facts, info, stream = PngInfo(), view.pixels, BytesIO()
    facts.add_text("Comment", case.subject)
    Image.fromarray(info).save(stream, format="PNG", pnginfo=facts)
    named = stream.getvalue()
    with pytest.raises(AssertionError, match="tEXt"):
        bare_pixels(named)
    body = json.dumps(load_prompt("describe").messages(ViewFacts.of(view), named)).encode()
    assert case.subject in found(words, body), "base64 hides it"
    clean = picture_of(view, 64)
    with pytest.raises(AssertionError, match="rest"):
        bare_pixels(clean + case.subject.encode())
    coloured = BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(coloured, format="PNG")
    with pytest.raises(AssertionError):
        bare_pixels(coloured.getvalue())
