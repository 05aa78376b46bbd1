"""``mrnet``: AlexNet on every slice of three planes, the strongest slice decides.

Bien et al. 2018, "Deep-learning-assisted diagnosis for knee magnetic resonance imaging" (PLoS Medicine 15, e1002699).

Departs from the paper in three points: the planes are slices of one volume and not three series; the planes are
trained together and their scores averaged, where the paper trains one network a plane and fits a logistic regression
on their probabilities; and AlexNet starts from random weights until :meth:`MRNet.load_alexnet` is given ImageNet's.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from ..types import Plane
from .input_sizes import InputSizes

#: Channels of the five convolutions; kernel, stride and padding of the first one.
ALEXNET = ((64, 192, 384, 256, 256), (11, 4, 2))
TINY = ((16, 24, 32, 32, 32), (7, 2, 3))

Layout = tuple[tuple[int, ...], tuple[int, int, int]]


class PlaneNetwork(nn.Module):
    """Scores a stack of slices.

    The modules of ``features`` lie where torchvision's AlexNet has them, so that its keys ``features.0.weight`` ...
    fit.

    Args:
        layout: Channels of the convolutions, and kernel, stride and padding of the first one.
        num_classes: Classes.
        in_channels: Channels of a slice.
        dropout: Share of the strongest features that training drops.
    """

    def __init__(self, layout: Layout, num_classes: int, in_channels: int, dropout: float) -> None:
        super().__init__()
        (one, two, three, four, five), (kernel, stride, padding) = layout
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, one, kernel, stride, padding),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(one, two, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(two, three, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(three, four, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(four, five, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(five, num_classes)

    def forward(self, slices: Float[Tensor, "b s c u v"]) -> Float[Tensor, "b k"]:
        """Returns class scores: of each feature the largest value in any slice, dropout, a linear layer."""
        means = self.features(slices.flatten(0, 1)).mean((2, 3))
        strongest = means.unflatten(0, slices.shape[:2]).amax(1)
        scores: Tensor = self.classify(self.dropout(strongest))
        return scores


class MRNet(nn.Module):
    """Classifies whole volumes by the mean of three planes' scores; each plane has weights of its own.

    A volume of one channel is shown to AlexNet as a grey picture of three equal channels, as the paper does. There is
    no batch norm, so a batch of one is as good as any.

    Args:
        num_classes: Classes.
        image_size: Edge of the cubes in voxels, only checked: slices of 63 pixels or more pass AlexNet.
        in_channels: Channels of the input; with any number but 1 the first convolution takes that many.
        layout: Channels of the convolutions, and kernel, stride and padding of the first one.
        dropout: Share of the strongest features that training drops.

    Raises:
        ConfigError: ``image_size`` is too small.
    """

    def __init__(
        self,
        num_classes: int,
        image_size: int,
        in_channels: int = 1,
        *,
        layout: Layout = ALEXNET,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        kernel, stride, padding = layout[1]
        self.sizes = InputSizes(lambda edge: _pooled(_pooled(_pooled((edge + 2 * padding - kernel) // stride + 1))))
        self.sizes.check_cube(image_size)
        self.grey = in_channels == 1
        channels = 3 if self.grey else in_channels
        self.planes = nn.ModuleDict(
            {plane.name.lower(): PlaneNetwork(layout, num_classes, channels, dropout) for plane in Plane}
        )

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k"]:
        """Returns a score for each class (no softmax).

        Raises:
            ConfigError: An edge is too small for the pooling.
        """
        self.sizes.check(volume, training=False)
        scores = []
        for plane in Plane:
            slices = volume.movedim(2 + plane.axis, 1)
            if self.grey:
                slices = slices.expand(-1, -1, 3, -1, -1)
            scores.append(self.planes[plane.name.lower()](slices))
        return torch.stack(scores).mean(0)

    def load_alexnet(self, state: Mapping[str, Tensor]) -> int:
        """Gives the features of every plane the weights of torchvision's AlexNet; its classifier is not used.

        Args:
            state: The state dict of ``torchvision.models.alexnet``.

        Returns:
            How many tensors of ``state`` were taken; each goes to all three planes.

        Raises:
            InputError: A tensor of the features is missing or has another shape.
        """
        taken = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
        own: dict[str, Tensor] = {}
        for network in self.planes.values():
            features = network.get_submodule("features")
            own = features.state_dict()
            if wrong := [key for key in own if key not in taken or taken[key].shape != own[key].shape]:
                raise InputError(
                    f"these are no weights of this AlexNet: features.{wrong[0]} is missing or has another shape",
                    "give the state dict of torchvision.models.alexnet to a network with 1 or 3 input channels",
                )
            features.load_state_dict({key: taken[key] for key in own})
        return len(own)


def _pooled(edge: int) -> int:
    """Edge after a max-pooling of 3 by steps of 2 without padding."""
    return max((edge - 3) // 2 + 1, 0)
