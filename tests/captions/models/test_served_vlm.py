"""The endpoint against a real server that runs a real vision-language model, up to texts in the answer ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from chat_bodies import png, question
from vlm_server import VLMServer, vlm_server

from med3dinsight.captions.asking.asking import ask_all
from med3dinsight.captions.asking.chat import ChatReply, FatalError, RefusedError
from med3dinsight.captions.asking.jobs import Job
from med3dinsight.captions.models.openai_endpoint import OpenAIEndpoint
from med3dinsight.captions.prompts.answer import answer_schema, parse_answer
from med3dinsight.workspace.answer_ledger import AnswerLedger


@pytest.fixture(scope="module")
def server(vlm_folder: Path) -> Iterator[VLMServer]:
    with vlm_server(vlm_folder) as served:
        yield served


def ask(server: VLMServer, *bodies: dict[str, Any], key_env: str = "NO_SUCH_VARIABLE") -> list[ChatReply]:
    async def asking() -> list[ChatReply]:
        endpoint = OpenAIEndpoint(server.base_url, key_env=key_env)
        try:
            return await asyncio.gather(*(endpoint.complete(body) for body in bodies))
        finally:
            await endpoint.aclose()

    return asyncio.run(asking())


def test_answers_follow_the_schema_and_the_picture(server: VLMServer) -> None:
    replies = ask(server, *(question(png(seed)) for seed in (0, 1, 0)))
    for reply in replies:
        jsonschema.validate(json.loads(reply.content), answer_schema())
        assert reply.prompt_tokens and reply.completion_tokens and reply.model == server.model
    assert replies[0].content == replies[2].content != replies[1].content


def test_an_unknown_model_and_a_wrong_key_end_the_run(
    server: VLMServer, vlm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FatalError, match="no such model"):
        ask(server, question(png(), model="other"))
    monkeypatch.setenv("WRONG_KEY", "wr0ng")
    monkeypatch.setenv("RIGHT_KEY", "r1ght")
    with vlm_server(vlm_folder, key="r1ght") as guarded:
        with pytest.raises(FatalError, match="key is not accepted"):
            ask(guarded, question(png()), key_env="WRONG_KEY")
        assert ask(guarded, question(png()), key_env="RIGHT_KEY")[0].content


def test_a_model_without_vision_ends_the_run(vlm_folder: Path) -> None:
    with vlm_server(vlm_folder, vision=False) as blind, pytest.raises(FatalError, match="cannot see pictures"):
        ask(blind, question(png()))


def test_one_broken_picture_is_refused_and_the_others_answered(server: VLMServer) -> None:
    with pytest.raises(RefusedError):
        ask(server, question(b"no picture"))
    assert ask(server, question(png()))[0].content


def test_slices_become_texts_in_the_ledger_and_a_second_run_sends_nothing(server: VLMServer, tmp_path: Path) -> None:
    jobs = [Job(f"slice-{n}", f"print-{n}", lambda n=n: question(png(n)), "axial", "CT") for n in range(6)]
    before = server.answers
    texts: list[dict[str, str]] = []
    for _ in range(2):
        taken: dict[str, str] = {}
        with AnswerLedger(tmp_path, create=True) as ledger:
            ask_all(
                iter(jobs),
                OpenAIEndpoint(server.base_url, key_env="NO_SUCH_VARIABLE"),
                ledger,
                parse=parse_answer,
                deliver=lambda done, taken=taken: taken.update({one.slice_key: one.answer.text for one in done}),
            )
        texts.append(taken)
    assert server.answers == before + 6
    assert texts[0] == texts[1] and len(set(texts[0].values())) > 1
    assert texts[0]["slice-0"] == parse_answer(ask(server, question(png(0)))[0].content).text
