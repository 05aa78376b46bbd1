"""Weights of others: prefixes, containers, adapted shapes, and every way in which they do not fit."""

from __future__ import annotations

import argparse
import io
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.i3resnet import I3ResNet
from med3dinsight.encoders.load_report import LoadReport
from med3dinsight.encoders.loading import WeightsWarning, load_pretrained
from med3dinsight.encoders.name_matching import match_names
from med3dinsight.encoders.weights import weights_bytes
from med3dinsight.errors import ConfigError, InputError
from med3dinsight.networks import create_network

State = dict[str, Tensor]
PARTS = ("module", "backbone", "swinViT", "encoder", "model", "_orig_mod", "student", "a0")


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint and returns its path."""

    def write(content: object, name: str = "weights.pth") -> Path:
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file(content, path)  # type: ignore[arg-type]
        else:
            torch.save(content, path)
        return path

    return write


def small(size: int = 16, in_channels: int = 1, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return create_encoder("vit_tiny", image_size=size, in_channels=in_channels)


def same(module: nn.Module, state: State) -> bool:
    return all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def behind(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.ckpt", "weights.safetensors"])
def test_a_file_of_the_same_network_loads_whole_from_every_kind_of_file(file, name: str) -> None:
    state = small().state_dict()
    other = small(seed=1)
    report = load_pretrained(other, file(state, name))
    assert same(other, state)
    assert report.share == 1
    assert report.exact
    assert len(report.of("loaded")) == len(state)
    assert report.notes == ()


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "swinViT.", "encoder.", "module.model.encoder.", "x.y1."])
def test_prefixes_are_found_whatever_stands_beside_them(file, prefix: str) -> None:
    state = small().state_dict()
    other = small(seed=1)
    report = load_pretrained(other, file({**behind(prefix, state), "decoder.weight": torch.rand(3), "epoch": 3}))
    assert same(other, state)
    assert not report.of("loaded")
    assert {row.file_name: row.name for row in report.of("renamed")} == {prefix + name: name for name in state}
    assert {row.file_name: row.note for row in report.of("skipped")} == {
        "decoder.weight": "not of this encoder",
        "epoch": "no tensor",
    }
    assert report.notes == (f"names behind the prefix {prefix}",)


@given(st.lists(st.sampled_from(PARTS), max_size=4), st.lists(st.sampled_from(PARTS), max_size=3), st.data())
def test_any_prefix_and_any_depth_of_the_encoder_is_undone(theirs: list[str], ours: list[str], data) -> None:
    names = ["stem.weight", "stages.0.conv.weight", "stages.0.conv.bias", "stages.1.conv.weight", "norm.bias"]
    values = {name: torch.full((2,), float(number)) for number, name in enumerate(names)}
    # Names may also share a beginning on one side only: a file of a part, an encoder that wraps it.
    own = behind("".join(f"{part}." for part in ours), values)
    state = behind("".join(f"{part}." for part in theirs), values)
    noise = data.draw(st.lists(st.sampled_from(["head.weight", "decoder.0.bias", "norm2.bias"]), unique=True))
    state |= {name: torch.zeros(2) for name in noise}
    match = match_names(own, state, lambda name, value: value.numel())
    assert {name: state[key][0].item() for name, key in match.sources.items()} == {
        name: value[0].item() for name, value in own.items()
    }


def test_names_of_a_part_find_their_place_in_an_encoder_that_wraps_it(file) -> None:
    """MONAI's own ViT has no ``vit.`` before its names."""
    state = small().state_dict()
    other = small(seed=1)
    report = load_pretrained(other, file({name.removeprefix("vit."): value for name, value in state.items()}))
    assert same(other, state)
    assert len(report.of("renamed")) == len(state)


@pytest.mark.parametrize(
    ("wrap", "container", "others"),
    [
        (lambda s: {"state_dict": s, "epoch": 1}, "state_dict", ""),
        (lambda s: {"checkpoint": {"model": s}}, "checkpoint > model", ""),
        (
            lambda s: {"model_state_dict": s, "optimizer": {"state": {0: {"m": torch.rand(2)}}}},
            "model_state_dict",
            "opt",
        ),
        (lambda s: {"student": {k: v + 1 for k, v in s.items()}, "teacher": s}, "teacher", "student"),
        (lambda s: {"network_weights": behind("module.", s), "nnssl_adaptation_plan": {}}, "network_weights", ""),
    ],
)
def test_state_dicts_are_found_in_their_containers_and_what_was_not_read_is_said(file, wrap, container, others) -> None:
    state = small().state_dict()
    other = small(seed=1)
    report = load_pretrained(other, file(wrap(state)))
    assert same(other, state)
    assert report.notes[0] == f"weights found under {container}"
    assert (others == "") != any("not read" in note and others in note for note in report.notes)


def test_a_teacher_is_preferred_to_its_student_and_the_other_choice_is_said(file) -> None:
    state = small().state_dict()
    other = small(seed=1)
    noise = {name: value + 1 for name, value in state.items()}
    report = load_pretrained(other, file({**behind("student.", noise), **behind("teacher.", state)}))
    assert same(other, state)
    assert "as much stands behind student., which was not taken" in report.notes


def test_an_nnssl_file_of_a_residual_encoder_loads_and_its_decoder_is_skipped(file) -> None:
    """nnU-Net's networks hold the encoder a second time inside the decoder, as the same tensors."""
    network = create_network("resenc_tiny", 3, image_size=16)
    state = network.state_dict()
    doubled = {**state, **behind("decoder.", {k: v for k, v in state.items() if k.startswith("encoder.")})}
    plan = {"architecture_plans": {"arch_class_name": "ResEncL"}}
    other = create_encoder("resenc_tiny")
    report = load_pretrained(other, file({"network_weights": doubled, "nnssl_adaptation_plan": plan}))
    assert same(other, network.encoder.state_dict())
    assert {row.file_name.split(".")[0] for row in report.of("skipped")} == {"decoder"}
    assert report.share == 1
    assert "an nnssl file of ResEncL" in report.notes


def test_medicalnets_files_load_into_its_network(file) -> None:
    """They hold ``state_dict`` with ``module.`` before MONAI's names, and a head of another task."""

    def build() -> nn.Module:
        return create_network("medicalnet_tiny", 2, task="classification", image_size=64).encoder

    state = {name: value + 1 for name, value in build().state_dict().items()}
    other = build()
    content = {"state_dict": {**behind("module.", state), "module.conv_seg.0.weight": torch.rand(3)}, "epoch": 1}
    report = load_pretrained(other, file(content))
    assert same(other, state)
    assert len(report.of("renamed")) == len(state)
    assert [row.file_name for row in report.of("skipped")] == ["module.conv_seg.0.weight"]


def test_a_published_layout_of_names_is_undone(file) -> None:
    from med3dinsight.encoders.published.primus import to_published

    network = create_network("primus_tiny", 2, image_size=16)
    other = create_encoder("primus_tiny", image_size=16)
    published = {f"module.{name}": value for name, value in to_published(network.state_dict()).items()}
    report = load_pretrained(other, file({"network_weights": published}))
    assert same(other, network.encoder.state_dict())
    assert "names in the published layout of primus" in report.notes
    assert all(row.file_name.startswith("module.") for row in report.of("renamed"))
    skipped = {row.file_name: row.note for row in report.of("skipped")}
    assert "has no use for it" in skipped["module.mask_token"]


def test_nnformers_published_names_are_undone_and_its_heads_skipped(file) -> None:
    from med3dinsight.encoders.published.nnformer import to_published

    network = create_network("nnformer_tiny", 2, image_size=64)
    other = create_encoder("nnformer_tiny")
    report = load_pretrained(other, file({"state_dict": to_published(network.state_dict())}))
    assert same(other, network.encoder.state_dict())
    assert "names in the published layout of nnformer" in report.notes
    assert {row.file_name.split(".")[0] for row in report.of("skipped")} == {"decoder", "final"}


def test_the_oldest_names_of_swin_transformers_are_undone(file) -> None:
    state = create_encoder("swin_unetr_tiny").state_dict()
    old = {name.replace(".mlp.linear", ".mlp.fc"): value for name, value in state.items()}
    other = create_encoder("swin_unetr_tiny")
    with pytest.warns(WeightsWarning, match="before MONAI 1"):
        report = load_pretrained(other, file({"state_dict": behind("module.swinViT.", old)}))
    assert same(other, state)
    assert "names in the published layout of swin" in report.notes


def test_position_tables_are_interpolated_to_the_encoders_grid(file) -> None:
    """The same as the encoder built for the file's grid does with volumes of the other size."""
    trained = small(32)
    other = small(16, seed=1)
    report = load_pretrained(other, file(trained.state_dict()))
    volume = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(other(volume).tokens, trained(volume).tokens)
    (row,) = [row for row in report.rows if row.note]
    assert (row.note, row.shape, row.file_shape) == ("positions interpolated from 4³ to 2³", (1, 8, 96), (1, 64, 96))


def test_a_table_of_relative_positions_is_interpolated_axis_by_axis(file) -> None:
    class Windowed(nn.Module):
        def __init__(self, window: int) -> None:
            super().__init__()
            count = (2 * window - 1) ** 3
            self.relative_position_bias_table = nn.Parameter(torch.zeros(count, 2))

    trained, other = Windowed(2), Windowed(3)
    places = torch.arange(3.0).reshape(1, 3, 1).expand(3, 3, 3).reshape(27)
    trained.relative_position_bias_table.data = torch.stack([places, 2 * places], 1)
    report = load_pretrained(other, file(trained.state_dict()))
    maps = other.relative_position_bias_table.detach().reshape(5, 5, 5, 2)
    assert torch.allclose(maps, maps[:1, :, :1].expand_as(maps), atol=1e-6)
    assert torch.allclose(maps[0, :, 0, 0], torch.tensor([0, 0.4, 1, 1.6, 2]), atol=1e-5)
    assert report.rows[0].note == "relative positions interpolated from 3³ to 5³"


@pytest.mark.parametrize(("theirs", "ours"), [(1, 3), (3, 1), (3, 2), (2, 4)])
def test_a_first_layer_of_other_channels_answers_the_same_to_a_copied_grey_volume(file, theirs: int, ours: int) -> None:
    trained, other = small(in_channels=theirs), small(in_channels=ours, seed=1)
    report = load_pretrained(other, file(trained.state_dict()))
    volume = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        expected = trained(volume.expand(-1, theirs, -1, -1, -1)).tokens
        torch.testing.assert_close(other(volume.expand(-1, ours, -1, -1, -1)).tokens, expected, atol=1e-5, rtol=1e-5)
    (row,) = [row for row in report.rows if row.note]
    assert row.name == "vit.patch_embedding.patch_embeddings.weight"
    assert "input channels" in row.note


def test_a_first_layer_that_is_registered_twice_is_adapted_by_either_name(file) -> None:
    trained, other = create_encoder("resenc_tiny"), create_encoder("resenc_tiny", in_channels=2)
    assert load_pretrained(other, file(trained.state_dict())).complete
    first = "stem.convs.0.conv.weight"
    half = trained.state_dict()[first] / 2
    assert torch.equal(other.state_dict()[first], half.expand(-1, 2, -1, -1, -1))
    only_second = {name: value for name, value in trained.state_dict().items() if name != first}
    report = load_pretrained(create_encoder("resenc_tiny", in_channels=2), file(only_second))
    assert report.share == 1


def test_checkpoints_of_old_versions_of_pytorch_are_read(tmp_path: Path) -> None:
    """The kind of file before 1.6, in which MedicalNet and many others were published."""
    state, other = small().state_dict(), small(seed=1)
    torch.save({"state_dict": state}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    load_pretrained(other, tmp_path / "old.pth")
    assert same(other, state)


def test_only_the_first_layer_is_adapted_to_other_channels(file) -> None:
    trained, other = I3ResNet((1, 1, 1, 1), 8), I3ResNet((1, 1, 1, 1), 8)
    state = trained.state_dict()
    state["layer1.0.conv2.weight"] = torch.rand(8, 4, 3, 3, 3)
    report = load_pretrained(other, file(state))
    (skipped,) = report.of("skipped")
    (missing,) = report.of("missing")
    assert skipped.name == missing.name == "layer1.0.conv2.weight"
    assert (skipped.file_shape, skipped.shape) == ((8, 4, 3, 3, 3), (8, 8, 3, 3, 3))
    assert skipped.note == "shape or type does not fit"
    assert report.share == pytest.approx(1 - 8 * 8 * 27 / sum(value.numel() for value in other.parameters()))


def test_half_precision_is_widened(file) -> None:
    trained, other = small(), small(seed=1)
    halves = {name: value.bfloat16() for name, value in trained.state_dict().items()}
    load_pretrained(other, file(halves))
    assert all(value.dtype == torch.float32 for value in other.parameters())
    assert all(torch.equal(value, halves[name].float()) for name, value in other.state_dict().items())


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


def test_plain_data_beside_the_weights_is_no_obstacle(file) -> None:
    state = small().state_dict()
    other = small(seed=1)
    plain = {"best": np.float64(0.5), "curve": np.zeros(3), "args": argparse.Namespace(lr=1.0), "step": 3}
    load_pretrained(other, file({"state_dict": state, **plain}))
    assert same(other, state)


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


def test_our_own_files_with_tensors_of_two_names_load_whole(tmp_path: Path) -> None:
    trained, other = create_encoder("resenc_tiny"), create_encoder("resenc_tiny")
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(trained))
    report = load_pretrained(other, path)
    assert same(other, trained.state_dict())
    assert report.complete


def test_what_did_not_fit_is_warned_of_where_no_report_is_returned(file) -> None:
    state = small().state_dict()
    del state["vit.norm.bias"]
    with pytest.warns(WeightsWarning, match=r"1 missing; first missing: vit\.norm\.bias \(96\)"):
        create_encoder("vit_tiny", image_size=16, pretrained=file(state))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        create_encoder("vit_tiny", image_size=16, pretrained=file(small().state_dict()))


@pytest.mark.parametrize("prefix", ["", "swinViT.", "module."])
def test_swin_weights_of_others_may_be_of_the_old_merging_which_is_warned_of(file, prefix: str) -> None:
    state = create_encoder("swin_unetr_tiny").state_dict()
    path = file({"state_dict": behind(prefix, state)})
    with pytest.warns(WeightsWarning, match=r"up to MONAI 1\.4"):
        report = load_pretrained(create_encoder("swin_unetr_tiny"), path)
    assert "_before_1_5" in report.warnings[0]
    assert not report.exact


def test_swin_weights_of_our_own_or_for_the_old_merging_are_not_doubted(tmp_path: Path, file) -> None:
    from med3dinsight.encoders.swin import SwinEncoder

    encoder = create_encoder("swin_unetr_tiny")
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(encoder))
    assert load_pretrained(create_encoder("swin_unetr_tiny"), path).exact
    old = SwinEncoder(1, 8, (2, 2, 2, 2), (1, 2, 4, 8), patch_size=2, window=4, token_map=4, merging="before_1_5")
    assert load_pretrained(old, file(encoder.state_dict())).warnings == ()


def test_names_that_end_in_before_1_5_merge_as_monai_did() -> None:
    with torch.device("meta"):
        for name in ("swin_vit", "swin_unetr"):
            old, new = create_encoder(f"{name}_before_1_5"), create_encoder(name)
            assert (old.merging, new.merging) == ("before_1_5", "mended")
            assert {k: v.shape for k, v in old.state_dict().items()} == {
                k: v.shape for k, v in new.state_dict().items()
            }


def test_the_table_has_a_row_for_every_tensor_and_aligned_shapes(file) -> None:
    state = {**behind("module.", small().state_dict()), "module.head.weight": torch.rand(2, 96)}
    report = load_pretrained(small(), file(state))
    lines = report.table()
    assert lines[0].split() == ["encoder", "shape", "file", "shape", "in", "file"]
    end = lines[0].index("shape") + len("shape")
    shapes = [line[:end].rsplit("  ", 1)[1] for line in lines[1:6]]
    assert shapes[0] == "1 x 8 x 96"
    assert any(line.startswith("renamed  ... and ") for line in lines)
    assert lines[-1].split() == [
        "skipped",
        "-",
        "-",
        "module.head.weight",
        "2",
        "x",
        "96",
        "not",
        "of",
        "this",
        "encoder",
    ]
    counted = report.as_json()
    assert len(counted["renamed"]) + len(counted["skipped"]) == len(state)
    assert counted["skipped"][0] == {
        "name": None,
        "file_name": "module.head.weight",
        "shape": None,
        "file_shape": (2, 96),
        "note": "not of this encoder",
    }


def test_an_empty_report_is_still_a_table() -> None:
    report = LoadReport("x", (), 0.0)
    assert report.table() == ["  encoder  shape  file  shape in file"]
    assert "0.0 %" in report.summary()


def test_reading_a_checkpoint_needs_no_file_of_a_module_of_ours() -> None:
    """What is written for this package is tensors alone, which anybody reads."""
    buffer = io.BytesIO(weights_bytes(small()))
    assert buffer.getvalue()[8:9] == b"{"
