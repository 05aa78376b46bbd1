"""Weights of others: every way in which they do not fit, or are none."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import pytest
import torch
from checkpoints import same, small

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.loading import WeightsWarning, load_pretrained
from med3dinsight.errors import ConfigError, InputError


def test_too_little_is_refused_with_the_head_of_the_table_and_nothing_is_loaded(file) -> None:
    other = create_encoder("mednext_tiny")
    before = {name: value.clone() for name, value in other.state_dict().items()}
    path = file({**small().state_dict(), "stem.weight": torch.ones(16, 1, 1, 1, 1)})
    with pytest.raises(InputError, match=r"fills 0\.0 % of this encoder, at least 90 % are asked for") as caught:
        load_pretrained(other, path)
    assert "first skipped: vit.patch_embedding.position_embeddings (1 x 8 x 96)" in caught.value.hint
    assert "first missing: stem.bias (16)" in caught.value.hint
    assert same(other, before)


def test_the_share_that_is_asked_for_is_a_choice(file) -> None:
    trained, other = small(), small(seed=1)
    half = {name: value for name, value in trained.state_dict().items() if ".blocks.3." not in name}
    path = file(half)
    with pytest.raises(InputError, match=r"fills 77\.5 % of this encoder"):
        load_pretrained(other, path)
    report = load_pretrained(other, path, minimum_share=0.7)
    assert {row.name for row in report.of("missing")} == set(trained.state_dict()) - set(half)
    assert 0.77 < report.share < 0.78
    with pytest.raises(ConfigError, match=r"minimum_share 90\.0 is no share"):
        load_pretrained(other, path, minimum_share=90.0)


def test_a_file_with_nothing_that_fits_is_refused_even_where_nothing_is_asked_for(file) -> None:
    with pytest.raises(InputError, match=r"fills 0\.0 %"):
        load_pretrained(small(), file({"unknown": torch.rand(3)}), minimum_share=0.0)


def test_weights_that_are_no_numbers_are_refused_and_nothing_is_loaded(file) -> None:
    state = small().state_dict()
    state["vit.blocks.1.norm1.weight"] = torch.full((96,), float("nan"))
    other = small(seed=1)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(InputError, match=r"no numbers: vit\.blocks\.1\.norm1\.weight"):
        load_pretrained(other, file(state))
    assert same(other, before)


class Surprise:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this ran",))


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(file, capsys: pytest.CaptureFixture[str]) -> None:
    path = file({"state_dict": small().state_dict(), "extra": Surprise()})
    with pytest.raises(InputError, match="reading it could run code") as caught:
        load_pretrained(small(), path)
    assert "torch.save(model.state_dict(), FILE)" in caught.value.hint
    assert "this ran" not in capsys.readouterr().out


def test_a_whole_pickled_model_is_refused_with_the_way_out(file) -> None:
    with pytest.raises(InputError, match="holds more than weights") as caught:
        load_pretrained(small(), file(small()))
    assert "state_dict" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("x.pth", b"", "x.pth is empty"),
        ("x.safetensors", b"", "x.safetensors is empty"),
        ("x.pth", b"hello\n", "no readable PyTorch file: it is cut off"),
        ("x.pth", b"not a pickle at all", "(no readable PyTorch file|could run code)"),
        ("x.pt", pickle.dumps({"a": 1}), "(no readable PyTorch file|could run code|holds no weights)"),
        ("x.safetensors", b"\x08\0\0\0\0\0\0\0notjson!", "no readable safetensors file"),
        ("x.onnx", b"onnx", "no file of weights that is known"),
        ("x.nii.gz", b"scan", "no file of weights that is known"),
    ],
)
def test_wrong_kinds_of_files_are_told_apart(tmp_path: Path, name: str, content: bytes, error: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=error) as caught:
        load_pretrained(small(), path)
    assert caught.value.hint


def test_a_damaged_checkpoint_a_folder_and_a_missing_file_are_refused(file, tmp_path: Path) -> None:
    path = file(small().state_dict())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="no readable PyTorch file"):
        load_pretrained(small(), path)
    with pytest.raises(InputError, match="is a folder") as caught:
        load_pretrained(small(), tmp_path)
    assert caught.value.hint == f"give {path}"
    with pytest.raises(InputError, match="no weights at") as caught:
        load_pretrained(small(), tmp_path / "none.pth")
    assert "*.safetensors" in caught.value.hint


@pytest.mark.parametrize("content", [{"epoch": 3}, {"model": {"epoch": 1}}, [torch.rand(2)], torch.rand(3), {}])
def test_a_checkpoint_without_weights_is_refused(file, content: object) -> None:
    with pytest.raises(InputError, match="holds no weights"):
        load_pretrained(small(), file(content))


def test_several_unknown_sets_of_weights_are_named_instead_of_guessed(file) -> None:
    state = small().state_dict()
    with pytest.raises(InputError, match="holds several sets of weights: first, second"):
        load_pretrained(small(), file({"first": state, "second": state}))


def test_what_did_not_fit_is_warned_of_where_no_report_is_returned(file) -> None:
    state = small().state_dict()
    del state["vit.norm.bias"]
    with pytest.warns(WeightsWarning, match=r"1 missing; first missing: vit\.norm\.bias \(96\)"):
        create_encoder("vit_tiny", image_size=16, pretrained=file(state))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        create_encoder("vit_tiny", image_size=16, pretrained=file(small().state_dict()))
