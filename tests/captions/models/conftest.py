"""One tiny vision-language model for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_vlm import save_tiny_vlm


@pytest.fixture(scope="session")
def vlm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_vlm(tmp_path_factory.mktemp("vlm") / "tiny-llava")
