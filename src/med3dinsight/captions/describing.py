"""Texts by captioners that look at one slice after another, in this process, in several, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..engines import ENGINES, Failed
from ..errors import InputError, Med3DInsightError
from ..records import SliceRef
from ..slices.rendering import SliceRenderer, SliceView
from ..workspace.caption_store import Written
from ..workspace.voxel_store import VoxelStore
from .captioner import Captioner
from .registry import CAPTIONERS, find_captioners
from .untrusted import untrusted

#: Slices whose texts are stored in one transaction: what a kill loses at most, for each worker.
CHUNK_SLICES = 256


class Describer:
    """Gives chunks of slices their texts; it can be sent to another process, where it opens the volumes itself.

    Args:
        prepared: Folder of the prepared volumes.
        captioner: A name of the registry.
        left_out: ``{case: flag}`` of the volumes that it must not see; their slices get no text.
    """

    def __init__(self, prepared: Path, captioner: str, left_out: Mapping[str, str] | None = None) -> None:
        self.prepared, self.captioner, self.left_out = prepared, captioner, dict(left_out or {})
        self._opened: tuple[Any, SliceRenderer] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def __call__(self, slices: list[SliceRef]) -> list[Written]:
        """Describes slices.

        Raises:
            ConfigError: The captioner is a plug-in that is broken.
        """
        if self._opened is None:
            entry = find_captioners()[self.captioner]
            assert entry.load is not None  # only captioners that look at slices come here
            self._opened = (entry.load(), SliceRenderer(VoxelStore(self.prepared), labels=entry.needs_labels))
        captioner, renderer = self._opened
        return [
            Written(ref.key, "", (self.left_out[ref.crop.case],))
            if ref.crop.case in self.left_out
            else self._describe(captioner, renderer.view(ref), ref.key)
            for ref in slices
        ]

    def _describe(self, captioner: Captioner, view: SliceView, key: str) -> Written:
        text = captioner.describe(view)
        if self.captioner in CAPTIONERS:
            return Written(key, text)
        # Nobody knows what stands behind a plug-in.
        return untrusted(key, text, view.plane, view.modality)


def describe_slices(
    describer: Describer, slices: Iterable[SliceRef], *, engine: str, workers: int
) -> Iterator[list[Written]]:
    """Yields the texts of slices, chunk by chunk in their order.

    Args:
        describer: Who describes.
        slices: In the order of their volumes.
        engine: A name of :data:`~med3dinsight.engines.ENGINES`.
        workers: Processes at a time.

    Raises:
        InputError: A volume cannot be described.
        Med3DInsightError: The captioner has a bug.
    """
    for outcome in ENGINES[engine](describer, in_chunks(slices), workers):
        if isinstance(outcome, Failed):
            raise (InputError if outcome.expected else Med3DInsightError)(outcome.reason, outcome.hint)
        yield outcome


def in_chunks(slices: Iterable[SliceRef], size: int = CHUNK_SLICES) -> Iterator[list[SliceRef]]:
    """Yields slices in lists of equal length, the last one shorter.

    Example:
        >>> [len(chunk) for chunk in in_chunks(range(5), 2)]
        [2, 2, 1]
    """
    chunk: list[SliceRef] = []
    for ref in slices:
        chunk.append(ref)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
