"""Captioners by name. To add one: write its file, add one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .chat_settings import ChatSettings
from .plugins import find_plug_ins

if TYPE_CHECKING:
    from .captioner import Captioner

#: How texts come about: ``view``: a :class:`Captioner` looks at each slice; ``dealt``: another captioner's texts;
#: ``imported``: they exist already; ``reports``: sentences of radiology reports; ``chat``: a chat model is asked.
Way = Literal["view", "dealt", "imported", "reports", "chat"]
#: Settings of asking that only a model in this process reads, and those that only one over HTTP reads.
_IN_PROCESS = frozenset({"hub", "device"})
_OVER_HTTP = frozenset(
    {"base_url", "key_env", "concurrency", "timeout_seconds", "budget_usd", "prices", "allow_remote", "policy"}
    | {"reasons"}
)


@dataclass(frozen=True)
class CaptionerEntry:
    """One captioner that can be named.

    Attributes:
        load: Makes the captioner; None where nobody looks at slices.
        version: Raised when the same slice would get another text; texts of an older one are made anew.
        kind: What it is, in a few words.
        source: Where it comes from.
        way: How its texts come about.
        needs_labels: Whether it reads label maps: then it gets to see nobody who is held out or tested.
        reads: Which settings of asking a chat model it reads.
    """

    load: Callable[[], Captioner] | None
    version: int
    kind: str
    source: str
    way: Way = "view"
    needs_labels: bool = False
    reads: frozenset[str] = frozenset()

    @property
    def by_files(self) -> bool:
        """Whether questions go out, and answers come in, by files that the user carries."""
        return self.over_http and "concurrency" not in self.reads

    @property
    def over_http(self) -> bool:
        """Whether slices leave this process, if not this machine."""
        return "base_url" in self.reads


def _tissue() -> Captioner:
    from .tissue import TissueDescriber

    return TissueDescriber()


def _template() -> Captioner:
    from .template import TemplateCaptioner

    return TemplateCaptioner()


def _anatomy() -> Captioner:
    from .anatomy import AnatomyDescriber

    return AnatomyDescriber()


CAPTIONERS: dict[str, CaptionerEntry] = {
    "tissue": CaptionerEntry(_tissue, 2, "rule-based describer of tissues, no language model", "built in"),
    "anatomy": CaptionerEntry(_anatomy, 2, "names what the label map shows", "built in", needs_labels=True),
    "template": CaptionerEntry(_template, 1, "control: modality, plane and place in the scan only", "built in"),
    "shuffled": CaptionerEntry(None, 2, "control: another captioner's texts, dealt out wrongly", "built in", "dealt"),
    "report": CaptionerEntry(None, 1, "sentences of radiology reports", "built in", "reports"),
    "openai": CaptionerEntry(
        None,
        1,
        "multimodal LLM at an OpenAI-compatible endpoint, on this machine unless a policy allows another",
        "caption.base_url and caption.model",
        way="chat",
        reads=frozenset(ChatSettings.model_fields) - _IN_PROCESS,
    ),
    "openai-batch": CaptionerEntry(
        None,
        1,
        "multimodal LLM asked by Batch files that you upload, at about half the price",
        "files for the service at caption.base_url",
        way="chat",
        reads=frozenset(ChatSettings.model_fields) - _IN_PROCESS - {"concurrency", "timeout_seconds", "key_env"},
    ),
    "local": CaptionerEntry(
        None,
        1,
        "multimodal LLM in this process, by transformers",
        "the folder caption.model, or with caption.hub a name",
        way="chat",
        reads=frozenset(ChatSettings.model_fields) - _OVER_HTTP,
    ),
    "imported": CaptionerEntry(None, 1, "texts that exist already, from a CSV or Parquet file", "built in", "imported"),
}


def find_captioners() -> dict[str, CaptionerEntry]:
    """Returns all captioners that can be named: the built-in ones and plug-ins."""
    plug_ins = find_plug_ins(CAPTIONERS)
    return {
        **CAPTIONERS,
        **{name: CaptionerEntry(load, 1, "plug-in", source) for name, (load, source) in plug_ins.items()},
    }


def list_captioners() -> list[dict[str, Any]]:
    """Returns a row for each captioner: name, parameters, tokens, kind, source."""
    return [
        {"name": name, "parameters": None, "tokens": None, "kind": entry.kind, "source": entry.source}
        for name, entry in find_captioners().items()
    ]
