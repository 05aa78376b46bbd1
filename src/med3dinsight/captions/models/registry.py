"""Chat models by the name of their captioner. To add one: write its file, add one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..asking.chat import ChatModel
    from ..chat_settings import ChatSettings


def _openai(settings: ChatSettings) -> ChatModel:
    from .openai_endpoint import OpenAIEndpoint

    return OpenAIEndpoint(settings.base_url, key_env=settings.key_env, timeout_seconds=settings.timeout_seconds)


def _local(settings: ChatSettings) -> ChatModel:
    from .local_vlm import LocalVLM

    return LocalVLM(settings.model, hub=settings.hub, device=settings.device)


CHAT_MODELS: dict[str, Callable[[ChatSettings], ChatModel]] = {"openai": _openai, "local": _local}
