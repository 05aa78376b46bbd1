"""A reply as an answer: read, or told to be unreadable."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import Med3DInsightError
from ...workspace.answer_ledger import Answer
from .chat import ChatReply
from .flags import flags_of
from .jobs import Description, Job
from .length import shortened

REFUSED = Answer("refused", "", ("refused",))
QUARANTINED = Answer("quarantined", "", ("quarantined",))


def read_reply(reply: ChatReply, job: Job, parse: Callable[[str], Description]) -> Answer | None:
    """Returns what a reply says; None where it cannot be read and is to be asked for again.

    Its text is cut where it is too long to be read by anybody; the reply itself is kept whole by the ledger.

    Args:
        reply: As it came.
        job: The slice it is about; what contradicts it is flagged.
        parse: Raises a :class:`~med3dinsight.errors.Med3DInsightError` or ``ValueError`` where it cannot read.
    """
    if reply.finish_reason == "content_filter":
        return REFUSED
    try:
        said = parse(reply.content)
    except (Med3DInsightError, ValueError):
        return None
    # Half a character, which JSON can escape, cannot be stored.
    text = said.text.encode("utf-8", "replace").decode("utf-8")
    if not text.strip():
        return None
    flags = flags_of(text, plane=job.plane, modality=job.modality, said_plane=said.plane, said_modality=said.modality)
    return Answer("answered", shortened(text), flags)
