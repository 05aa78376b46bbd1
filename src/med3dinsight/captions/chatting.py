"""Texts by a chat model: slices that have none become questions, as far as the privacy guard lets them go."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..records import Case, SliceRef
from ..slices.rendering import SliceRenderer
from ..types import Progress
from ..workspace import Workspace
from ..workspace.answer_ledger import ANSWERS, NANO, AnswerLedger
from ..workspace.caption_store import CaptionStore, Written
from ..workspace.provenance import fingerprint
from ..workspace.voxel_store import VoxelStore
from .asking.asking import ask_all
from .asking.chat import ChatModel
from .asking.jobs import Asked, Job, Outcome
from .asking.prices import Forecast, Price, find_price, forecast, load_prices
from .asking.requests import picture_of, slice_fingerprint
from .config import CaptionConfig
from .models.choosing import Chosen, choose
from .models.registry import CHAT_MODELS
from .privacy.audit_log import NAME, AuditLog
from .privacy.guard import Permission, check_may_send
from .privacy.logged_model import LoggedModel
from .prompts.answer import parse_answer
from .prompts.prompt import ViewFacts
from .wording import MODALITY_WORDS

#: Why a slice has no text: its scan must stay on this machine.
HELD_BACK = "held-back"


@dataclass(frozen=True)
class Chatting:
    """All that is settled before the first question.

    Attributes:
        config: Settings.
        chosen: The model and how it is asked.
        price: Of the model; None where it is not known.
        permission: What may be sent where; None for a model in this process.
    """

    config: CaptionConfig
    chosen: Chosen
    price: Price | None
    permission: Permission | None

    @functools.cached_property
    def asked_with(self) -> dict[str, Any]:
        """What makes the same slice another question."""
        return self.chosen.asked_with(self.config)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should look at before slices leave this machine."""
        return () if self.permission is None else self.permission.notes

    def body(self, renderer: SliceRenderer, ref: SliceRef) -> Mapping[str, Any]:
        """Renders a slice and returns the chat-completions body that asks about it."""
        chosen, view = self.chosen, renderer.view(ref)
        return {
            "model": chosen.model,
            "messages": chosen.prompt.messages(ViewFacts.of(view), picture_of(view, chosen.picture_size)),
            "response_format": chosen.prompt.response_format,
            "temperature": self.config.temperature,
            "max_tokens": self.config.max_tokens,
        }


def settle(config: CaptionConfig, cases: Iterable[Case]) -> Chatting:
    """Checks everything that can be checked before anything is drawn or sent.

    Args:
        config: Settings of a captioner that is a chat model.
        cases: The prepared volumes whose slices would be shown.

    Raises:
        ConfigError: There is no model, address, prompt or price that is needed.
        PrivacyError: The slices may not go there.
    """
    chosen = choose(config, in_process=not config.entry.over_http)
    prices = load_prices(config.prices) if config.prices is not None else {}
    price = find_price(config.model, prices, budget=config.budget_usd)
    if not config.entry.over_http:
        return Chatting(config, chosen, price, None)
    if not config.base_url:
        raise ConfigError(
            f"captioner {config.captioner} needs the address of an endpoint",
            "give --base-url URL, such as http://127.0.0.1:8000/v1 for a server on this machine",
        )
    permission = check_may_send(
        list(cases), config.base_url, model=config.model, allow_remote=config.allow_remote, policy=config.policy
    )
    return Chatting(config, chosen, price, permission)


def ask_about(
    chatting: Chatting,
    workspace: Workspace,
    ledger: CaptionStore,
    store: VoxelStore,
    missing: Iterable[SliceRef],
    progress: Progress,
) -> Asked:
    """Asks about slices; every answer is durable in the answer ledger, and then stands in the caption ledger.

    Args:
        chatting: As settled.
        workspace: Whose answers and log are written.
        ledger: Gets the texts.
        store: The volumes.
        missing: The slices that have no text.
        progress: Told the slices dealt with, and the cost so far.

    Raises:
        FatalError: No question can be answered; the texts so far stay.
        DiskFullError: The disk is full; the texts so far stay.
    """
    config = chatting.config
    done, total = ledger.num_written(config.kept_as), ledger.num_slices()

    with AnswerLedger(workspace.captions, create=True) as answers:

        def put(rows: list[Written]) -> None:
            nonlocal done
            ledger.add(config.kept_as, rows)
            done += len(rows)
            progress(done, total, f"{answers.spent() / NANO:.2f} USD so far" if chatting.price else "")

        def deliver(outcomes: list[Outcome]) -> None:
            put([Written(item.slice_key, item.answer.text, item.answer.flags) for item in outcomes])

        jobs = jobs_of(chatting, store, missing, put)
        model = CHAT_MODELS[config.captioner](config)
        with AuditLog(workspace.captions / NAME) as log:
            return ask_all(
                jobs,
                _logged(chatting, model, log),
                answers,
                parse=parse_answer,
                deliver=deliver,
                concurrency=config.concurrency,
                budget_usd=config.budget_usd,
                price=chatting.price,
            )


def _logged(chatting: Chatting, model: ChatModel, log: AuditLog) -> ChatModel:
    """A model in this process gets no requests, so nothing is to be logged."""
    if chatting.permission is None:
        return model
    log.allowed(chatting.permission)
    return LoggedModel(model, log, chatting.permission.address.host)


def forecast_asking(chatting: Chatting, workspace: Workspace, store: VoxelStore, slices: list[SliceRef]) -> Forecast:
    """Says how many questions are left to ask about some slices, and what they cost at most; nothing is sent.

    Raises:
        WorkspaceError: The answers were written by a newer version.
    """
    prints = [_fingerprint(chatting, store, ref) for ref in slices]
    known: set[str] = set()
    if (workspace.captions / ANSWERS).exists():
        with AnswerLedger(workspace.captions) as answers:
            for first in range(0, len(prints), 512):
                known.update(answers.find(prints[first : first + 512]))
    left = [ref for ref, name in zip(slices, prints, strict=True) if name not in known]
    if not left:
        return Forecast(0, 0.0 if chatting.price else None)
    return forecast(len(left), chatting.body(SliceRenderer(store), left[len(left) // 2]), chatting.price)


def jobs_of(
    chatting: Chatting, store: VoxelStore, slices: Iterable[SliceRef], put: Callable[[list[Written]], None]
) -> Iterator[Job]:
    """Yields a job a slice; slices of scans that must stay on this machine get none, and no text."""
    renderer = SliceRenderer(store)
    held: dict[str, bool] = {}
    for ref in slices:
        case = store.cases[ref.crop.case]
        if chatting.permission is not None and chatting.permission.remote:
            if case.id not in held:
                held[case.id] = bool(chatting.permission.reason_to_hold(case, store.volume(case.id)))
            if held[case.id]:
                put([Written(ref.key, "", (HELD_BACK,))])
                continue
        yield Job(
            ref.key,
            _fingerprint(chatting, store, ref),
            lambda ref=ref: chatting.body(renderer, ref),  # type: ignore[misc]
            plane=ref.plane.name.lower(),
            modality=MODALITY_WORDS[case.modality],
        )


def _fingerprint(chatting: Chatting, store: VoxelStore, ref: SliceRef) -> str:
    return slice_fingerprint(
        voxels=_of_case(store.cases[ref.crop.case]),
        origin=ref.crop.origin,
        size=ref.crop.size,
        plane=ref.plane.name.lower(),
        index=ref.index,
        settings=chatting.asked_with,
    )


@functools.lru_cache(maxsize=16)
def _of_case(case: Case) -> str:
    grid = [case.shape, case.spacing_mm, case.affine, case.source_shape, case.source_affine]
    return fingerprint(case.modality, case.voxel_sha256, case.window, grid)
