"""Fetching pinned archives through the user's pip configuration, from indexes made on the fly."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from med3dinsight.datasets import archives, package_index
from med3dinsight.datasets.archives import Archive, extract, fetch, read_member, read_members
from med3dinsight.errors import DownloadError

MEMBERS = {"tiny/data/a.txt": b"alpha", "tiny/data/deep/b.txt": b"beta", "tiny/code.py": b"raise SystemExit"}


def wheel() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bundle:
        for name, data in MEMBERS.items():
            bundle.writestr(name, data)
    return content.getvalue()


def source_archive() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as bundle:
        for name, data in MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            bundle.addfile(info, io.BytesIO(data))
    return content.getvalue()


FILES = {"tiny-1.0-py3-none-any.whl": wheel(), "tiny-1.0.tar.gz": source_archive()}


def archive(filename: str) -> Archive:
    return Archive("tiny", "1.0", filename, hashlib.sha256(FILES[filename]).hexdigest(), "MIT")


@pytest.fixture(autouse=True)
def own_machine(tmp_path, monkeypatch):
    """An empty cache and a pip that is configured with nothing but what a test says."""
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CERT", "PROXY"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def find_links(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "links"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    # What pip would say; asking it takes half a second, and other tests do.
    monkeypatch.setattr(package_index, "pip_settings", lambda: {"find-links": str(folder), "no-index": "true"})
    return folder


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A package index as pip reads it, as a folder."""
    page = tmp_path / "simple" / "tiny"
    page.mkdir(parents=True)
    for name, content in FILES.items():
        (page / name).write_bytes(content)
    (page / "index.html").write_text("".join(f'<a href="{name}">{name}</a>' for name in FILES))
    monkeypatch.setenv("PIP_INDEX_URL", page.parent.as_uri())
    return page


@pytest.mark.parametrize("filename", FILES)
def test_an_archive_comes_from_find_links(find_links, filename):
    path = fetch(archive(filename))
    assert path == archives.cache_folder() / "archives" / filename
    assert path.read_bytes() == FILES[filename]


@pytest.mark.parametrize("filename", FILES)
def test_an_archive_comes_from_the_index_that_pip_names(index, filename):
    assert fetch(archive(filename)).read_bytes() == FILES[filename]


def test_an_archive_comes_from_pips_configuration_file(index, tmp_path, monkeypatch):
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.parent.as_uri()}\n")
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert fetch(archive("tiny-1.0.tar.gz")).exists()


def test_what_was_fetched_once_needs_no_index(find_links, monkeypatch):
    first = fetch(archive("tiny-1.0.tar.gz"))
    monkeypatch.setattr(archives, "open_index", lambda: pytest.fail("the index was asked"))
    assert fetch(archive("tiny-1.0.tar.gz")) == first


def test_a_damaged_file_in_the_cache_is_fetched_again(find_links):
    path = fetch(archive("tiny-1.0.tar.gz"))
    path.write_bytes(b"damaged")
    assert fetch(archive("tiny-1.0.tar.gz")).read_bytes() == FILES["tiny-1.0.tar.gz"]


def test_another_file_under_the_pinned_name_is_refused_and_not_kept(find_links):
    (find_links / "tiny-1.0.tar.gz").write_bytes(FILES["tiny-1.0.tar.gz"] + b"x")
    with pytest.raises(DownloadError, match=r"tiny-1\.0\.tar\.gz has SHA-256"):
        fetch(archive("tiny-1.0.tar.gz"))
    assert list((archives.cache_folder() / "archives").iterdir()) == []


def test_a_package_nobody_has_is_one_error_that_says_what_to_do(find_links):
    (find_links / "tiny-1.0.tar.gz").unlink()
    with pytest.raises(DownloadError, match="was not found in the 1 place pip is configured with") as caught:
        fetch(archive("tiny-1.0.tar.gz"))
    assert "network" in caught.value.hint


def test_an_index_that_cannot_be_reached_is_one_error(monkeypatch):
    settings = {"index-url": "http://127.0.0.1:9/simple", "trusted-host": "127.0.0.1"}
    monkeypatch.setattr(package_index, "pip_settings", lambda: settings)
    with pytest.raises(DownloadError, match=r"tiny-1\.0\.tar\.gz was not found"):
        fetch(archive("tiny-1.0.tar.gz"))


def test_a_transfer_that_breaks_is_tried_again_and_then_one_error(find_links, monkeypatch):
    tries = []

    def broken(*arguments):
        tries.append(arguments)
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(archives, "download", broken)
    with pytest.raises(DownloadError, match="reset by peer"):
        fetch(archive("tiny-1.0.tar.gz"))
    assert len(tries) == archives.ATTEMPTS


def test_no_place_at_all_is_one_error(monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DownloadError, match="no-index and no find-links"):
        fetch(archive("tiny-1.0.tar.gz"))


def test_a_certificate_that_is_missing_is_one_error(find_links, monkeypatch, tmp_path):
    settings = {**package_index.pip_settings(), "cert": str(tmp_path / "none.pem")}
    monkeypatch.setattr(package_index, "pip_settings", lambda: settings)
    with pytest.raises(DownloadError, match=r"certificate .*none\.pem"):
        fetch(archive("tiny-1.0.tar.gz"))


def test_the_download_tells_how_far_it_is(find_links):
    told = []
    fetch(archive("tiny-1.0.tar.gz"), lambda done, total, note="": told.append((done, total, note)))
    size = len(FILES["tiny-1.0.tar.gz"])
    assert told[-1] == (size, size, "tiny-1.0.tar.gz")


@pytest.mark.parametrize("filename", FILES)
def test_members_are_read_without_running_anything(find_links, filename):
    assert read_member(archive(filename), "tiny/data/a.txt") == b"alpha"
    found = read_members(archive(filename), ["tiny/data/"])
    assert found == {"tiny/data/a.txt": b"alpha", "tiny/data/deep/b.txt": b"beta"}


@pytest.mark.parametrize("filename", FILES)
def test_a_member_that_is_not_there_is_named(find_links, filename):
    with pytest.raises(DownloadError, match=r"holds no tiny/c\.txt"):
        read_members(archive(filename), ["tiny/data/a.txt", "tiny/c.txt"])


def test_members_are_written_once(find_links, tmp_path):
    pinned = archive("tiny-1.0.tar.gz")
    folder = extract(pinned, ["tiny/data/", "tiny/code.py"], tmp_path / "out")
    assert {name: (folder / name).read_bytes() for name in MEMBERS} == MEMBERS
    (folder / "tiny/data/a.txt").write_bytes(b"mine")
    assert extract(pinned, ["tiny/data/", "tiny/code.py"], tmp_path / "out") == folder
    assert (folder / "tiny/data/a.txt").read_bytes() == b"mine"
    assert extract(pinned, ["tiny/code.py"]) == archives.cache_folder() / "extracted" / "tiny-1.0"


def test_environment_beats_files_and_the_command_beats_global():
    listing = "\n".join(
        [
            "global.index-url='a'",
            "install.index-url='b'",
            ":env:.cert='/x'",
            "global.cert='/y'",
            r"global.find-links='\none\ntwo'",
            "list.format='columns'",
        ]
    )
    settings = package_index.parse_settings(listing)
    assert settings["index-url"] == "b"
    assert settings["cert"] == "/x"
    assert settings["find-links"].split() == ["one", "two"]
    assert "format" not in settings


def test_without_pip_the_environment_counts(monkeypatch):
    monkeypatch.setattr(package_index.sys, "executable", "/bin/false")
    monkeypatch.setenv("PIP_INDEX_URL", "somewhere")
    assert package_index.pip_settings()["index-url"] == "somewhere"
