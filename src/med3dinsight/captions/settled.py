"""All that is settled about a chat model before the first question, and the question about a slice."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..records import Case, SliceRef
from ..slices.rendering import SliceRenderer
from ..workspace.answer_ledger import NANO
from ..workspace.provenance import fingerprint
from ..workspace.voxel_store import VoxelStore
from .asking.jobs import Job
from .asking.prices import Price, find_price, load_prices
from .asking.requests import picture_of, slice_fingerprint
from .config import CaptionConfig
from .models.choosing import Chosen, choose
from .privacy.guard import Permission, check_may_send
from .prompts.prompt import ViewFacts
from .wording import MODALITY_WORDS

#: No words for a place have more bytes.
_LONGEST_PLACE = 200


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

    def fingerprint(self, store: VoxelStore, ref: SliceRef) -> str:
        """Returns the name of all that decides a slice's question, without drawing it."""
        return slice_fingerprint(
            voxels=_of_case(store.cases[ref.crop.case]),
            origin=ref.crop.origin,
            size=ref.crop.size,
            plane=ref.plane.name.lower(),
            index=ref.index,
            settings=self.asked_with,
        )

    def job(self, store: VoxelStore, renderer: SliceRenderer, ref: SliceRef) -> Job:
        """Returns what is to be asked about a slice; it is drawn only when it is asked."""
        return Job(
            ref.key,
            self.fingerprint(store, ref),
            lambda: self.body(renderer, ref),
            plane=ref.plane.name.lower(),
            modality=MODALITY_WORDS[store.cases[ref.crop.case].modality],
        )

    def jobs(self, store: VoxelStore, slices: Iterable[SliceRef]) -> Iterator[Job]:
        """Yields a job a slice."""
        renderer = SliceRenderer(store)
        return (self.job(store, renderer, ref) for ref in slices)

    def body(self, renderer: SliceRenderer, ref: SliceRef) -> Mapping[str, Any]:
        """Renders a slice and returns the chat-completions body that asks about it."""
        view = renderer.view(ref)
        return self._body(ViewFacts.of(view), picture_of(view, self.chosen.picture_size))

    def most_usd(self) -> float:
        """Returns the most that one question can cost; 0 where no price is known."""
        if self.price is None:
            return 0.0
        longest = ViewFacts("MR", "sagittal", "x" * _LONGEST_PLACE)
        return self.price.most(self._body(longest, b"")) / NANO

    def _body(self, facts: ViewFacts, png: bytes) -> Mapping[str, Any]:
        chosen = self.chosen
        return {
            "model": chosen.model,
            "messages": chosen.prompt.messages(facts, png),
            "response_format": chosen.prompt.response_format,
            **chosen.parameters(self.config),
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


@functools.lru_cache(maxsize=16)
def _of_case(case: Case) -> str:
    grid = [case.shape, case.spacing_mm, case.affine, case.source_shape, case.source_affine]
    return fingerprint(case.modality, case.voxel_sha256, case.window, grid)
