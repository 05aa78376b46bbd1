"""The towers with a stand-in of the library, which is no part of the tests' installation, and without any."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_biomedclip import save_biomedclip
from tiny_towers import PICTURE, pictures

from med3dinsight.errors import ConfigError
from med3dinsight.towers import load_towers

CPU = torch.device("cpu")


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ConfigError, match="need the package open_clip_torch") as caught:
        load_towers("open_clip", CPU, model=str(save_biomedclip(tmp_path)))
    assert "med3dinsight[open_clip]" in caught.value.hint


class _Library:
    """Answers as open_clip does, by linear maps."""

    def __init__(self, fails: bool) -> None:
        self.fails = fails

    def create_model_and_transforms(self, name: str, device: torch.device) -> tuple[torch.nn.Module, None, object]:
        if self.fails:
            raise RuntimeError("size mismatch\nand more")
        assert name.startswith("local-dir:")
        return _Model(), None, lambda picture: torch.from_numpy(np.array(picture.resize((PICTURE, PICTURE)))).float()

    def get_tokenizer(self, name: str) -> object:
        return lambda texts: torch.tensor([[len(text)] for text in texts])


class _Model(torch.nn.Module):
    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :4]

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens.expand(-1, 4)


def test_pictures_and_texts_go_through_the_librarys_own_preparation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", _Library(fails=False))
    towers = load_towers("open_clip", CPU, model=str(save_biomedclip(tmp_path)))
    assert towers.image_width == towers.text_width == 4
    assert towers.embed_texts(["a", "abc"]).tolist() == [[1.0] * 4, [3.0] * 4]
    flat = np.full((9, 7), 50, dtype=np.uint8)
    assert towers.embed_images([flat, *pictures(40)])[0].tolist() == [50.0] * 4


def test_a_folder_that_the_library_refuses_is_an_error_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", _Library(fails=True))
    with pytest.raises(ConfigError, match=r"open_clip cannot load .*: size mismatch"):
        load_towers("open_clip", CPU, model=str(save_biomedclip(tmp_path)))
