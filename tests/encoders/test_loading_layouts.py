"""Weights of others: the layouts in which known networks were published."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from checkpoints import behind, same
from torch import nn

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.loading import WeightsWarning, load_pretrained
from med3dinsight.encoders.weights import weights_bytes
from med3dinsight.networks import create_network


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
