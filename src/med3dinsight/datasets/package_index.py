"""The package index that the user's pip is configured with: its indexes, find-links, certificate, proxy.

No index host is written here: where pip is configured with none, the default of the ``unearth``
package (which is pip's own) is used.
"""

from __future__ import annotations

import ast
import contextlib
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DownloadError
from ..types import Progress

if TYPE_CHECKING:
    from unearth import PackageFinder
    from unearth.fetchers.sync import PyPIClient

#: Sections of pip's configuration that count here, the strongest last.
SECTIONS = ("global", "install", "download", ":env:")


def pip_settings() -> dict[str, str]:
    """Reads what the user's pip is configured with, by files and environment.

    Where this Python has no pip, the ``PIP_*`` environment variables alone are read.

    Returns:
        ``{"index-url": ..., "extra-index-url": ..., ...}``; a setting with several values holds them
        separated by white space, as in pip's own files.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return parse_settings(done.stdout)
    prefix = "PIP_"
    return {
        name.removeprefix(prefix).lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith(prefix) and value
    }


def parse_settings(listing: str) -> dict[str, str]:
    r"""Merges the lines of ``pip config list`` (``section.key='value'``).

    Example:
        >>> parse_settings("global.timeout='60'\n:env:.timeout='9'")
        {'timeout': '9'}
    """
    ranked: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        name, equals, quoted = line.partition("=")
        section, dot, key = name.strip().rpartition(".")
        if not equals or not dot or section not in SECTIONS:
            continue
        try:
            value = str(ast.literal_eval(quoted))
        except (ValueError, SyntaxError):
            continue
        rank = SECTIONS.index(section)
        if key not in ranked or rank >= ranked[key][0]:
            ranked[key] = (rank, value)
    return {key: value for key, (_, value) in ranked.items()}


@dataclass(frozen=True)
class PackageIndex:
    """An open connection to the configured package index."""

    client: PyPIClient
    sources: tuple[str, ...]
    options: Mapping[str, Any]

    def find(self, package: str, version: str, filename: str) -> str:
        """Returns the address of one file of a package.

        Raises:
            DownloadError: No configured place has it.
        """
        finder = self._finder()
        try:
            matches = finder.find_matches(f"{package}=={version}")
            links = [match.link for match in matches if match.link.filename == filename]
        except Exception as error:  # whatever a broken page or connection raises in the finder
            raise self._not_found(filename, f": {error}") from None
        if not links:
            raise self._not_found(filename, "")
        return str(links[0].url_without_fragment)

    def _finder(self) -> PackageFinder:
        from unearth import PackageFinder

        # The client is what the finder makes for itself, with the user's certificate and proxy.
        return PackageFinder(self.client, **self.options, ignore_compatibility=True)  # type: ignore[arg-type]

    def _not_found(self, filename: str, reason: str) -> DownloadError:
        places = len(self.sources)
        return DownloadError(
            f"{filename} was not found in the {places} place{'s' if places > 1 else ''} pip is configured with{reason}",
            "connect to the network or fix pip's index (`pip config list`); fetched once, it works offline",
        )


@contextlib.contextmanager
def open_index() -> Iterator[PackageIndex]:
    """Opens the package index that the user's pip is configured with.

    Raises:
        DownloadError: pip is configured with no place at all, or its certificate cannot be read.
    """
    from unearth import PackageFinder
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers.sync import PyPIClient

    settings = pip_settings()
    find_links = [place for place in settings.get("find-links", "").split() if "://" in place or Path(place).exists()]
    indexes: list[str] = []
    if settings.get("no-index", "").lower() not in ("1", "true", "yes", "on"):
        default = [source["url"] for source in PackageFinder().sources]
        indexes = settings.get("index-url", "").split() or default
        indexes += settings.get("extra-index-url", "").split()
    if not indexes and not find_links:
        raise DownloadError("pip is configured with no-index and no find-links", "name an index (`pip config set`)")
    hosts = settings.get("trusted-host", "").split()
    extra: dict[str, Any] = {"verify": _certificates(settings.get("cert"))} if settings.get("cert") else {}
    if settings.get("proxy"):
        extra["proxy"] = settings["proxy"]
    if settings.get("client-cert"):
        extra["cert"] = settings["client-cert"]
    seconds = float(settings.get("timeout") or settings.get("default-timeout") or 30)
    with PyPIClient(trusted_hosts=hosts, timeout=seconds, follow_redirects=True, **extra) as client:
        client.auth = MultiDomainBasicAuth(prompting=False, index_urls=indexes)
        options = {"index_urls": indexes, "find_links": find_links, "trusted_hosts": hosts}
        yield PackageIndex(client, (*indexes, *find_links), options)


def _certificates(path: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise DownloadError(f"pip's certificate {path} cannot be read: {error}", "fix pip's `cert` setting") from None


def download(client: PyPIClient, link: str, target: Path, progress: Progress, note: str) -> None:
    """Downloads an address into a file.

    Args:
        client: From :func:`open_index`.
        link: The address.
        target: File to write.
        progress: Told about ``(bytes so far, bytes in total, note)``; the total is 0 where it is not known.
        note: Passed on to ``progress``.

    Raises:
        ConnectionError: The transfer failed; worth another try.
    """
    import httpx2

    try:
        with client.get_stream(link) as response, target.open("wb") as handle:
            response.raise_for_status()
            total, done = int(response.headers.get("Content-Length", 0)), 0
            for chunk in response.iter_bytes(1 << 18):
                handle.write(chunk)
                done += len(chunk)
                progress(done, total, note)
    except httpx2.HTTPError as error:
        raise ConnectionError(str(error) or type(error).__name__) from None
