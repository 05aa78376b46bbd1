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
#: The answer was longer than it may be, and would be again.
CUT = Answer("quarantined", "", ("quarantined", "cut"))
#: An answer that cannot be read is asked for again so often.
ASK_AGAIN = 2


def judge(
    reply: ChatReply, job: Job, parse: Callable[[str], Description], *, replies: int, same_again: bool
) -> Answer | None:
    """Returns what becomes of a question by a reply; None where it is to be asked again.

    Args:
        reply: As it came.
        job: The slice it is about.
        parse: As in :func:`read_reply`.
        replies: How many there are to this question, with this one.
        same_again: Whether the model would give the same answer again (temperature 0): one that was cut stays cut.
    """
    answer = read_reply(reply, job, parse)
    if answer is not None:
        return answer
    cut = reply.finish_reason == "length"
    if replies > ASK_AGAIN or (cut and same_again):
        return CUT if cut else QUARANTINED
    return None


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
