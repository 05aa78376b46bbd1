"""The baselines: published sizes, and equality with the library's network where one is used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from med3dinsight.networks import NETWORKS, create_network
from med3dinsight.networks.resnet3d import TINY

SEGMENTATION = ["unet_tiny", "attention_unet_tiny", "med3d_tiny", "nnunet_tiny", "transunet_tiny"]
CLASSIFICATION = ["resnet50_3d_tiny", "medicalnet_tiny", "densenet121_3d_tiny", "mrnet_tiny", "m3t_tiny"]


@pytest.mark.parametrize("name", NETWORKS["classification"])
def test_the_listed_number_of_parameters_is_that_of_the_network(name: str) -> None:
    with torch.device("meta"):
        network = create_network(name, 2, task="classification")
    assert NETWORKS["classification"][name].parameters == sum(value.numel() for value in network.parameters())


@pytest.mark.parametrize(
    ("task", "name", "millions", "tolerance"),
    [
        ("segmentation", "unet", 5.75, 1e-3),
        ("segmentation", "attention_unet", 23.63, 1e-3),
        ("segmentation", "med3d", 46.71, 1e-3),
        ("segmentation", "transunet", 116.8, 2e-2),
        ("segmentation", "nnunet", 31.20, 1e-3),
        ("classification", "resnet50_3d", 46.16, 1e-3),
        ("classification", "medicalnet", 46.16, 1e-3),
        ("classification", "densenet121_3d", 11.25, 1e-3),
        ("classification", "mrnet", 3 * 2.47, 1e-3),
        ("classification", "m3t", 30.3, 2e-2),
    ],
)
def test_baselines_have_their_published_size(task: str, name: str, millions: float, tolerance: float) -> None:
    """That the listed number is that of the network is tested for every name."""
    assert NETWORKS[task][name].parameters == pytest.approx(millions * 1e6, rel=tolerance)


@pytest.mark.parametrize(
    ("task", "name"),
    [*[("segmentation", name) for name in SEGMENTATION], *[("classification", name) for name in CLASSIFICATION]],
)
def test_two_channels_are_taken_and_every_parameter_gets_a_gradient(task: str, name: str) -> None:
    torch.manual_seed(0)
    network = create_network(name, 4, task=task, image_size=32, in_channels=2)
    scores = network(torch.rand(2, 2, 32, 32, 32))
    assert scores.shape == ((2, 4, 32, 32, 32) if task == "segmentation" else (2, 4))
    (scores * torch.rand_like(scores)).sum().backward()
    without = {key for key, value in network.named_parameters() if value.grad is None}
    # The heads of deep supervision, which is off.
    coarse = {f"decoder.seg_layers.{stage}.{part}" for stage in (0, 1) for part in ("weight", "bias")}
    assert without == (coarse if name in ("nnunet_tiny", "transunet_tiny") else set())


def test_volumes_that_are_no_cubes_are_segmented() -> None:
    for name in SEGMENTATION:
        torch.manual_seed(0)
        network = create_network(name, 2, image_size=32).eval()
        with torch.no_grad():
            assert network(torch.rand(1, 1, 16, 32, 24)).shape == (1, 2, 16, 32, 24)


def test_unet_and_attention_unet_and_densenet_are_monais(capsys: pytest.CaptureFixture[str]) -> None:
    from monai.networks.nets import AttentionUnet, BasicUNet, DenseNet

    ours = {
        "unet_tiny": "segmentation",
        "attention_unet_tiny": "segmentation",
        "densenet121_3d_tiny": "classification",
    }
    built = {name: create_network(name, 3, task=task, image_size=32).eval() for name, task in ours.items()}
    assert capsys.readouterr().out == ""
    references = {
        "unet_tiny": BasicUNet(3, 1, 3, (8, 8, 16, 32, 64, 8)),
        "attention_unet_tiny": AttentionUnet(3, 1, 3, (8, 16, 32), (2, 2)),
        "densenet121_3d_tiny": DenseNet(3, 1, 3, 16, 8, (2, 2, 2, 2)),
    }
    volume = torch.rand(1, 1, 32, 32, 32)
    for name, reference in references.items():
        reference.load_state_dict(built[name].network.state_dict())
        with torch.no_grad():
            assert torch.equal(built[name](volume), reference.eval()(volume))


def test_full_sizes_are_monais_defaults() -> None:
    from monai.networks.nets import AttentionUnet, BasicUNet, DenseNet121

    with torch.device("meta"):
        pairs = [
            (create_network("unet", 6), BasicUNet(3, 1, 6)),
            (
                create_network("attention_unet", 6),
                AttentionUnet(3, 1, 6, (32, 64, 128, 256, 512), (2, 2, 2, 2)),
            ),
            (create_network("densenet121_3d", 2, task="classification"), DenseNet121(3, 1, 2)),
        ]
    for ours, reference in pairs:
        assert shapes(ours.network) == shapes(reference)


@pytest.mark.parametrize(("name", "bias"), [("resnet50_3d_tiny", True), ("medicalnet_tiny", False)])
def test_resnets_are_monais_with_the_same_weights(name: str, bias: bool) -> None:
    from monai.networks.nets import ResNet

    torch.manual_seed(0)
    ours = create_network(name, 3, task="classification", image_size=32).eval()
    blocks, widths = TINY
    reference = ResNet(
        "bottleneck",
        list(blocks),
        list(widths),
        n_input_channels=1,
        conv1_t_stride=2,
        num_classes=3,
        bias_downsample=bias,
    ).eval()
    reference.load_state_dict(
        {key.replace("encoder.", "").replace("classify", "fc"): value for key, value in ours.state_dict().items()}
    )
    volume = torch.rand(2, 1, 32, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(volume), reference(volume))


@pytest.mark.parametrize(("name", "bias"), [("resnet50_3d", True), ("medicalnet", False)])
def test_full_resnets_have_the_layers_of_monais_resnet50(name: str, bias: bool) -> None:
    from monai.networks.nets import resnet50

    with torch.device("meta"):
        ours = create_network(name, 2, task="classification")
        reference = resnet50(
            n_input_channels=1, num_classes=2, conv1_t_stride=2, shortcut_type="B", bias_downsample=bias
        )
    assert shapes(ours.encoder) == {key: shape for key, shape in shapes(reference).items() if "fc." not in key}


def test_the_backbones_of_medicalnet_have_the_318_keys_of_the_published_files() -> None:
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    published = {"module.conv1.weight", *[f"module.bn1.{part}" for part in norm]}
    for layer, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            stem = f"module.layer{layer}.{block}"
            for number in (1, 2, 3):
                published.add(f"{stem}.conv{number}.weight")
                published.update(f"{stem}.bn{number}.{part}" for part in norm)
        published.add(f"module.layer{layer}.0.downsample.0.weight")
        published.update(f"module.layer{layer}.0.downsample.1.{part}" for part in norm)
    assert len(published) == 318
    with torch.device("meta"):
        networks = [create_network("medicalnet", 2, task="classification"), create_network("med3d", 2)]
    for network in networks:
        assert {f"module.{key}" for key in network.encoder.state_dict()} == published


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}
