"""MRNet: AlexNet slice by slice, the strongest slice, the mean of three planes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from med3dinsight.errors import InputError
from med3dinsight.networks import create_network
from med3dinsight.networks.mrnet import MRNet

#: Keys and shapes of the features in torchvision's ``alexnet``.
ALEXNET = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
}


def alexnet_state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    state = {"classifier.6.weight": torch.zeros(1000, 4096)}
    for key, shape in ALEXNET.items():
        state[f"{key}.weight"] = torch.randn(shape) * (2 / shape[1] / shape[2] ** 2) ** 0.5
        state[f"{key}.bias"] = torch.randn(shape[0]) * 0.01
    return state


def alexnet_features(picture: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Krizhevsky 2014: five convolutions, three poolings of 3 by steps of 2."""
    for number, stride, padding, pooled in ((0, 4, 2, True), (3, 1, 2, True), (6, 1, 1, False), (8, 1, 1, False)):
        weight, bias = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
        picture = F.conv2d(picture, weight, bias, stride, padding).relu()
        picture = F.max_pool2d(picture, 3, 2) if pooled else picture
    picture = F.conv2d(picture, state["features.10.weight"], state["features.10.bias"], padding=1).relu()
    return F.max_pool2d(picture, 3, 2).mean((2, 3))


def test_with_alexnets_weights_it_is_the_mean_over_planes_of_the_strongest_slice() -> None:
    state = alexnet_state()
    network = MRNet(2, 64).eval()
    assert network.load_alexnet(state) == 10
    volume = torch.rand(1, 1, 64, 66, 70)
    scores = []
    with torch.no_grad():
        for plane, axis in (("sagittal", 0), ("coronal", 1), ("axial", 2)):
            slices = [one.expand(3, -1, -1)[None] for one in volume[0, 0].unsqueeze(0).unbind(axis + 1)]
            features = torch.cat([alexnet_features(one, state) for one in slices]).amax(0)
            classify = network.planes[plane].classify
            scores.append(classify.weight @ features + classify.bias)
        torch.testing.assert_close(network(volume)[0], sum(scores) / 3, rtol=1e-4, atol=1e-5)


def test_weights_of_another_network_are_refused() -> None:
    state = alexnet_state()
    del state["features.8.bias"]
    with pytest.raises(InputError, match=r"features\.8\.bias is missing"):
        MRNet(2, 64).load_alexnet(state)
    with pytest.raises(InputError, match=r"features\.0\.weight is missing or has another shape"):
        MRNet(2, 64, in_channels=2).load_alexnet(alexnet_state())


def test_the_order_of_slices_does_not_matter_to_a_plane_and_the_place_in_a_slice_hardly() -> None:
    torch.manual_seed(0)
    plane = create_network("mrnet_tiny", 2, task="classification", image_size=32).eval().planes["axial"]
    slices = torch.rand(2, 6, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(plane(slices), plane(slices.flip(1)))
        changed = slices.clone()
        changed[0, 2] = 0
        assert not torch.allclose(plane(slices)[0], plane(changed)[0])
        torch.testing.assert_close(plane(slices)[1], plane(changed)[1])
