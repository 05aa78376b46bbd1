"""Fetching the sample data into a workspace, as a stage that knows when it is complete."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import ClassVar

from ..config import StageConfig
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.provenance import StageRecord, completed, fingerprint, write_record

FOLDER = "sample"


class FetchConfig(StageConfig):
    """Fetching has nothing to set."""

    section: ClassVar[str] = "fetch"


@dataclass(frozen=True)
class FetchResult:
    """What fetching tells: the folder with the scans, and how many there are."""

    directory: str
    volumes: int
    done_before: bool = False


def run(config: FetchConfig, workspace: Workspace, *, progress: Progress = silent) -> FetchResult:
    """Writes the sample data into the workspace's folder ``sample``, or returns at once where it is there.

    Raises:
        DownloadError: A package cannot be fetched or is not what was pinned.
        DiskFullError: The disk is full.
    """
    from .sample import VOLUMES, fetch_sample

    folder = workspace.root / FOLDER
    identity = fingerprint("fetch", [[volume.id, volume.archive.sha256, volume.image] for volume in VOLUMES])
    if completed(folder, identity) is not None:
        return FetchResult(str(folder), len(VOLUMES), done_before=True)
    started = time.time()
    result = FetchResult(str(folder), len(fetch_sample(folder, progress)))
    seconds = time.time() - started
    write_record(folder, StageRecord("fetch", identity, config.identity(), asdict(result), seconds))
    return result
