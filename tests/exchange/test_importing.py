"""Weights of others in, by Python and by the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from med3dinsight.cli import main
from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.published_weights import PUBLISHED, PublishedWeights
from med3dinsight.encoders.weights import load_weights, weights_bytes
from med3dinsight.errors import ConfigError, InputError
from med3dinsight.exchange import importing
from med3dinsight.exchange.importing import import_weights
from med3dinsight.networks import create_network


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of a whole network of which the encoder is wanted."""
    torch.manual_seed(0)
    network = create_network("vit_tiny", 3, image_size=32)
    path = tmp_path / "theirs.pth"
    torch.save({"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, path)
    return path


def test_what_is_written_loads_strictly_and_says_where_it_is_from(checkpoint: Path, tmp_path: Path) -> None:
    imported = import_weights(str(checkpoint), encoder="vit_tiny", image_size=16, output=tmp_path / "out")
    assert imported.weights == tmp_path / "out" / "encoder.safetensors"
    encoder = create_encoder("vit_tiny", image_size=16)
    load_weights(encoder, imported.weights)
    theirs = torch.load(checkpoint, weights_only=True)["state_dict"]
    name = "vit.blocks.2.attn.qkv.weight"
    assert torch.equal(encoder.state_dict()[name], theirs[f"module.encoder.{name}"])
    facts = json.loads((tmp_path / "out" / "encoder.json").read_text())
    assert facts["encoder"] == "vit_tiny"
    assert facts["image_size"] == 16
    assert facts["imported_from"] == str(checkpoint)
    report = json.loads((tmp_path / "out" / "loading.json").read_text())
    assert {row["file_name"] for row in report["skipped"]} == {k for k in theirs if k.startswith("module.head.")}


def test_the_folder_is_named_after_the_file_where_none_is_given(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert import_weights("theirs.pth", encoder="vit_tiny").weights == Path("imported/theirs/encoder.safetensors")
    assert (tmp_path / "imported" / "theirs" / "encoder.safetensors").exists()


def test_an_encoder_of_our_own_keeps_its_name_size_and_the_people_it_has_seen(tmp_path: Path) -> None:
    source = tmp_path / "run"
    source.mkdir()
    (source / "encoder.safetensors").write_bytes(weights_bytes(create_encoder("vit_tiny", image_size=16)))
    facts = {"encoder": "vit_tiny", "image_size": 16, "subjects": ["anna"], "voxel_sha256": ["ab"], "seed": 3}
    (source / "encoder.json").write_text(json.dumps(facts))
    imported = import_weights(str(source / "encoder.safetensors"), output=tmp_path / "out")
    assert imported.report.complete
    written = json.loads((tmp_path / "out" / "encoder.json").read_text())
    assert facts.items() <= written.items()


def test_an_nnssl_file_says_which_encoder_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(importing.NNSSL_CLASSES, "ResEncTiny", "resenc_tiny")
    network = create_network("resenc_tiny", 2, image_size=16)
    plan = {"architecture_plans": {"arch_class_name": "ResEncTiny"}}
    torch.save({"network_weights": network.state_dict(), "nnssl_adaptation_plan": plan}, tmp_path / "x.pth")
    imported = import_weights(str(tmp_path / "x.pth"), output=tmp_path / "out")
    assert imported.encoder == "resenc_tiny"
    assert imported.report.share == 1
    assert len(load_file(imported.weights)) < len(network.encoder.state_dict())


def test_a_file_that_does_not_say_needs_a_name_and_a_wrong_name_is_told(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not say which encoder") as caught:
        import_weights(str(checkpoint), output=tmp_path / "out")
    assert "--encoder NAME" in caught.value.hint
    with pytest.raises(ConfigError, match="no encoder called vit_tinny"):
        import_weights(str(checkpoint), encoder="vit_tinny", output=tmp_path / "out")
    with pytest.raises(InputError, match="at least 90 % are asked for"):
        import_weights(str(checkpoint), encoder="mednext_tiny", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_of_another_encoder_of_our_own_are_called_by_their_name(tmp_path: Path) -> None:
    network = create_encoder("conv_tiny")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "encoder.safetensors").write_bytes(weights_bytes(network))
    (tmp_path / "run" / "encoder.json").write_text('{"encoder": "conv_tiny", "image_size": 32}')
    with pytest.raises(InputError, match=r"fills 0\.0 %") as caught:
        import_weights(str(tmp_path / "run" / "encoder.safetensors"), encoder="vit_tiny", output=tmp_path / "out")
    assert "it was written as conv_tiny, image_size 32" in caught.value.hint


def test_a_name_of_no_published_weights_is_told_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no published weights called i3resnet15") as caught:
        import_weights("i3resnet15", output=tmp_path / "out")
    assert caught.value.hint == "did you mean i3resnet152?"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Published weights of a small encoder, already fetched."""
    path = tmp_path / "toy.pt"
    torch.save({"state_dict": create_encoder("i3resnet_tiny").state_dict()}, path)
    monkeypatch.setitem(PUBLISHED, "toy", PublishedWeights("i3resnet_tiny", (), "toy.pt", "", "MIT", "nobody"))
    monkeypatch.setattr(importing, "fetch_published", lambda name, progress: path)


def test_published_weights_come_by_name_with_their_licence(published: None, tmp_path: Path) -> None:
    imported = import_weights("toy", output=tmp_path / "out")
    assert imported.encoder == "i3resnet_tiny"
    assert imported.report.complete
    facts = json.loads((tmp_path / "out" / "encoder.json").read_text())
    assert (facts["licence"], facts["source"], facts["imported_from"]) == ("MIT", "nobody", "toy")


def test_the_command_answers_with_the_keys_of_the_contract(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "import",
        str(checkpoint),
        "--encoder",
        "vit_tiny",
        "--image-size",
        "32",
        "--output",
        str(tmp_path / "out"),
    ]
    assert main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert list(result)[:5] == ["file", "loaded", "renamed", "skipped", "missing"]
    assert len(result["renamed"]) == len(create_encoder("vit_tiny", image_size=32).state_dict())
    assert result["weights"] == str(tmp_path / "out" / "encoder.safetensors")
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["encoder", "shape", "file", "shape", "in", "file"]
    assert "names behind the prefix module.encoder." in lines
    assert lines[-1] == f"vit_tiny written to {tmp_path / 'out' / 'encoder.safetensors'}"


def test_the_command_ends_with_2_where_too_little_fits(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["import", str(checkpoint), "--encoder", "conv_tiny"]) == 2
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert "fills 0.0 % of this encoder" in error
    assert "first missing: stages.0.0.weight (16 x 1 x 3 x 3 x 3)" in hint
    assert main(["import", "none.pth", "--encoder", "conv_tiny"]) == 2
    assert "no weights at none.pth" in capsys.readouterr().err
    assert not (tmp_path / "imported").exists()
