"""``m3t``: a 3D CNN, a 2D CNN on the slices of three planes, and a transformer over all slices.

Jang & Hwang, "M3T: three-dimensional medical image classifier using multi-plane and multi-slice transformer", CVPR
2022.

Departs from the paper in that the 2D ResNet-50 starts from random weights and not from ImageNet's (its keys in
``slices`` are torchvision's, all but ``conv1.weight`` with the same shapes); that volumes need not be cubes; and in two
choices that save time, both off by default: a stride between slices and checkpointing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ConfigError
from ..types import Plane
from .checkpointing import checkpoint_with_norms
from .m3t_settings import M3TSettings
from .resnet3d import build_resnet

#: The paper's order of the planes.
ORDER = (Plane.CORONAL, Plane.SAGITTAL, Plane.AXIAL)


class M3T(nn.Module):
    r"""Classifies whole volumes from one token a slice.

    The tokens are :math:`[z_{cls}, T_{cor}, z_{sep}, T_{sag}, z_{sep}, T_{ax}, z_{sep}] + P_{pln} + P_{pos}`, for a
    cube of N slices a plane :math:`3N + 4` of them. The classification token counts to the first plane, a separator to
    the plane that it ends. Attention is scaled before the softmax,

    .. math:: \mathrm{softmax}(q k^T / \sqrt{d / h})\, v,

    in pre-norm blocks; the linear classifier reads the normalised classification token. All slices share one 2D
    network, whose batch norm has them all as its batch, so a batch of one volume trains.

    Args:
        num_classes: Classes.
        image_size: Edge of the cubes that the position table is made for; it is interpolated to other numbers of
            slices.
        in_channels: Channels of the input.
        settings: Sizes and choices.

    Raises:
        ConfigError: ``image_size`` has no slice at the chosen stride.
    """

    def __init__(
        self, num_classes: int, image_size: int, in_channels: int = 1, *, settings: M3TSettings | None = None
    ) -> None:
        super().__init__()
        self.settings = s = M3TSettings() if settings is None else settings
        self.volume = nn.Sequential(
            *_conv_block(in_channels, s.volume_channels), *_conv_block(s.volume_channels, s.volume_channels)
        )
        self.slices = build_resnet((s.blocks, s.widths), s.volume_channels, shortcut_bias=False, spatial_dims=2)
        self.project = nn.Sequential(
            nn.Linear(4 * s.widths[-1], s.projection), nn.ReLU(), nn.Linear(s.projection, s.width)
        )
        self.num_slices = len(_places(image_size, s))
        self.class_token = nn.Parameter(torch.zeros(1, 1, s.width))
        self.separator = nn.Parameter(torch.zeros(1, 1, s.width))
        self.planes = nn.Parameter(torch.zeros(3, s.width))
        self.positions = nn.Parameter(torch.zeros(1, 3 * self.num_slices + 4, s.width))
        for table in (self.class_token, self.separator, self.planes, self.positions):
            nn.init.trunc_normal_(table, std=0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                s.width, s.heads, s.mlp, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(s.layers)
        )
        self.norm = nn.LayerNorm(s.width)
        self.classify = nn.Linear(s.width, num_classes)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k"]:
        """Returns a score for each class (no softmax).

        Raises:
            ConfigError: The volumes are no cubes, or have no slice at the chosen stride.
        """
        tokens = self.embed(self.slice_features(volume))
        for layer in self.layers:
            tokens = layer(tokens)
        scores: Tensor = self.classify(self.norm(tokens[:, 0]))
        return scores

    def slice_features(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b 3 n f"]:
        """Returns what the CNNs say about every slice, plane by plane in the order of ``ORDER``.

        Raises:
            ConfigError: The volumes are no cubes, or have no slice at the chosen stride.
        """
        edge = _check_cube(volume)
        places = _places(edge, self.settings)
        features = self._run(self.volume, volume)
        planes = [features.movedim(2 + plane.axis, 1)[:, places.start : edge : places.step] for plane in ORDER]
        slices = torch.stack(planes, 1).flatten(0, 2)
        net = self.slices
        stem = nn.Sequential(net.conv1, net.bn1, net.act, net.maxpool)
        for part in (stem, *net.layer1, *net.layer2, *net.layer3, *net.layer4):
            slices = self._run(part, slices)
        return slices.mean((2, 3)).unflatten(0, (volume.shape[0], 3, len(places)))

    def embed(self, features: Float[Tensor, "b 3 n f"]) -> Float[Tensor, "b t c"]:
        """Returns the transformer's input: projected slices between the other tokens, with plane and position."""
        b, _, n, _ = features.shape
        separator = self.separator.expand(b, 1, -1)
        pieces = [self.class_token.expand(b, -1, -1)]
        for projected in self.project(features).unbind(1):
            pieces += [projected, separator]
        planes = torch.cat([self.planes[:1], self.planes.repeat_interleave(n + 1, 0)])
        return torch.cat(pieces, 1) + planes + self._positions(n)

    def _positions(self, n: int) -> Float[Tensor, "1 t c"]:
        """The position table, of each plane interpolated linearly to ``n`` slices."""
        made_for = self.num_slices
        if n == made_for:
            return self.positions
        pieces = list(self.positions.split([1, *[made_for, 1] * 3], 1))
        for place in (1, 3, 5):
            pieces[place] = F.interpolate(pieces[place].transpose(1, 2), size=n, mode="linear").transpose(1, 2)
        return torch.cat(pieces, 1)

    def _run(self, part: nn.Module, features: Tensor) -> Tensor:
        if self.settings.checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint_with_norms(part, features)
        output: Tensor = part(features)
        return output


def _conv_block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv3d(inputs, outputs, 5, padding=2), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]


def _check_cube(volume: Tensor) -> int:
    size = tuple(volume.shape[2:])
    if len(set(size)) != 1:
        raise ConfigError(
            f"a volume of {size[0]} x {size[1]} x {size[2]} voxels is no cube, as M3T needs it",
            f"crop or pad to cubes, such as of {min(size)} or {max(size)} voxels",
        )
    return size[0]


def _places(edge: int, settings: M3TSettings) -> range:
    places = settings.places(edge)
    if not places:
        raise ConfigError(
            f"a cube of {edge} voxels has no slice at a stride of {settings.slice_stride}",
            f"use edges of at least {settings.slice_stride // 2 + 1} voxels, or a smaller slice_stride",
        )
    return places
