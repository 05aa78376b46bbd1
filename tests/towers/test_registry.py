from __future__ import annotations

import pytest
import torch

from med3dinsight.errors import ConfigError
from med3dinsight.towers import list_towers, load_towers


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="no towers called minilm") as caught:
        load_towers("minilm", torch.device("cpu"))
    assert caught.value.hint == "did you mean minilm-lite?"


def test_the_list_says_that_the_embedded_towers_are_a_stand_in() -> None:
    row = next(row for row in list_towers() if row["name"] == "minilm-lite")
    assert "stand-in" in row["kind"]
    assert "Apache-2.0" in row["source"]
