"""EfficientNet-Lite0: the 2D image tower of ``minilm-lite``.

Inverted residuals without squeeze-and-excitation, with ReLU6 (Tan & Le 2019, the "lite" variant).
Module names are those of the published weights' keys, so that the file loads strictly.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

#: (repeats, kernel, stride, expansion, output channels) of the seven stages.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280


class SamePaddingConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": the odd pixel goes to the right and bottom."""

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d _ _"]:
        """Pads and convolves."""
        padding: list[int] = []
        for size, kernel, stride in zip(input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(F.pad(input, padding))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class InvertedResidual(nn.Module):
    """Expand 1 x 1, depthwise k x k, project 1 x 1, with an identity where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.identity = stride == 1 and inputs == outputs
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv = SamePaddingConv(inputs, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = SamePaddingConv(inner, inner, kernel, stride=stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = SamePaddingConv(inner, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d _ _"]:
        """Returns features, at half the size where the stride is 2."""
        inner = F.relu6(self._bn0(self._expand_conv(features))) if self.expands else features
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)))
        inner = self._bn2(self._project_conv(inner))
        return features + inner if self.identity else inner


class EfficientNetLite0(nn.Module):
    """The network without its classifier: pictures to 1280 features."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SamePaddingConv(3, STEM_CHANNELS, 3, stride=2, bias=False)
        self._bn0 = _norm(STEM_CHANNELS)
        blocks, channels = [], STEM_CHANNELS
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for number in range(repeats):
                blocks.append(InvertedResidual(channels, outputs, kernel, stride if number == 0 else 1, expansion))
                channels = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SamePaddingConv(channels, HEAD_CHANNELS, 1, bias=False)
        self._bn1 = _norm(HEAD_CHANNELS)

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1280"]:
        """Returns the globally averaged last features of pictures scaled to about [-1, 1]."""
        features = F.relu6(self._bn0(self._conv_stem(pictures)))
        for block in self._blocks:
            features = block(features)
        return F.relu6(self._bn1(self._conv_head(features))).mean((2, 3))
