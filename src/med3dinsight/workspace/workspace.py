"""A workspace: the folder through which stages talk, with a format version and a lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .. import __version__
from ..config import suggest
from ..errors import WorkspaceError, WorkspaceLockedError
from .files import disk_errors, read_json, write_json
from .provenance import StageRecord, read_record

FORMAT_VERSION = 1
MARKER = "workspace.json"
#: Stage folders in the order of the data.
STAGES = ("prepared", "captions", "audit", "features", "pretraining", "finetuning", "evaluation", "report")


class Workspace:
    """A folder with one sub-folder a stage.

    Args:
        root: The folder.
        create: Make it where it does not exist yet.

    Raises:
        WorkspaceError: It does not exist, cannot be made, is no workspace, or was written by a newer version.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Workspace(Path(folder) / "work", create=True).prepared.name
        'prepared'
    """

    def __init__(self, root: Path | str, *, create: bool = False) -> None:
        self.root = Path(root).absolute()
        marker = self.root / MARKER
        with disk_errors(self.root):  # a name that is too long, a circle of links
            there = marker.exists()
        if not there:
            self._make(marker, create)
        version = read_json(marker).get("format_version")
        if version != FORMAT_VERSION:
            raise WorkspaceError(
                f"{self.root} has workspace format {version}; this version reads {FORMAT_VERSION}",
                "use the version of med3dinsight that wrote it, or another folder",
            )

    def _make(self, marker: Path, create: bool) -> None:
        if not create:
            raise WorkspaceError(f"{self.root} is no workspace", "run `med3dinsight prepare` first, or check the path")
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise WorkspaceError(f"{self.root} exists and is no workspace", "give a new or empty folder")
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        write_json(marker, {"format_version": FORMAT_VERSION, "created_by": __version__})

    def discard_if_empty(self) -> None:
        """Removes the folder again where no stage has left anything in it."""
        if not any(folder.exists() for folder in (self.asked, *map(self.folder, STAGES))):
            for path in (self.root / MARKER, *self.root.glob(".*.lock")):
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # something else lies there, which is not ours
                self.root.rmdir()

    @property
    def prepared(self) -> Path:
        """Voxel store and manifest."""
        return self.root / "prepared"

    @property
    def captions(self) -> Path:
        """The slice table and caption ledger."""
        return self.root / "captions"

    @property
    def audit(self) -> Path:
        """One folder a captioner whose texts were audited."""
        return self.root / "audit"

    @property
    def asked(self) -> Path:
        """What chat models were asked and have answered, which cost money: no stage's output, so no ``clean`` takes it.

        The ledger of answers, the log of requests, and batch files.
        """
        return self.root / "asked"

    @property
    def features(self) -> Path:
        """Features of slices and texts, one folder a pair of towers."""
        return self.root / "features"

    @property
    def pretraining(self) -> Path:
        """One folder a pre-training run."""
        return self.root / "pretraining"

    @property
    def finetuning(self) -> Path:
        """One folder a fine-tuned model."""
        return self.root / "finetuning"

    @property
    def evaluation(self) -> Path:
        """scores.json, localization.json, probe.json and predictions."""
        return self.root / "evaluation"

    @property
    def report(self) -> Path:
        """index.html."""
        return self.root / "report"

    def folder(self, stage: str) -> Path:
        """Returns a stage's folder by name.

        Raises:
            WorkspaceError: No stage has that name.
        """
        if stage not in STAGES:
            raise WorkspaceError(f"no stage folder called {stage}", suggest(stage, STAGES))
        return self.root / stage

    def require(self, folder: Path, verb: str) -> StageRecord:
        """Returns the record of a finished stage.

        Raises:
            WorkspaceError: It has not finished; the hint names the verb to run.
        """
        record = read_record(folder)
        if record is None:
            raise WorkspaceError(
                f"{folder.relative_to(self.root)} is not complete in {self.root}", f"run `med3dinsight {verb}` first"
            )
        return record

    def require_current(self, folder: Path, verb: str) -> StageRecord:
        """Returns the record of a finished stage whose inputs are still the ones that it was made from.

        Raises:
            WorkspaceError: It has not finished, or an input has been made anew since; the hint names the verb to run.
        """
        record = self.require(folder, verb)
        for name, expected in record.inputs.items():
            earlier = read_record(self.root / name)
            if earlier is None or earlier.fingerprint != expected:
                raise WorkspaceError(
                    f"{folder.relative_to(self.root)} was made from {name} as it was before in {self.root}",
                    f"run `med3dinsight {verb}` again",
                )
        return record

    @contextlib.contextmanager
    def lock(self, name: str = "workspace", *, wait_seconds: float = 5.0) -> Iterator[None]:
        """Holds an advisory lock; the system drops it when the process dies, so none goes stale.

        Args:
            name: What is locked; a stage that runs many runs side by side locks each by its name.
            wait_seconds: How long to wait for a dying process to let go.

        Raises:
            WorkspaceLockedError: Another living process holds it.
        """
        path = self.root / f".{name.replace('/', '-')}.lock"
        with disk_errors(path), path.open("a+") as handle:
            deadline = time.monotonic() + wait_seconds
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        handle.seek(0)
                        raise WorkspaceLockedError(
                            f"{self.root} is in use by process {handle.read().strip() or '?'}",
                            "wait for it to end, or stop it",
                        ) from None
                    time.sleep(0.1)
            handle.seek(0)
            handle.truncate()
            handle.write(str(os.getpid()))
            handle.flush()
            yield
