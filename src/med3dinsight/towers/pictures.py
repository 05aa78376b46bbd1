"""Pictures as a published image tower was trained to see them: resized, cropped, scaled, three channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError


@dataclass(frozen=True)
class PictureRecipe:
    """The steps from a grey picture to the input of an image tower.

    Attributes:
        size: ``(height, width)`` to resize to; of a single number, the shorter edge to resize to.
        crop: ``(height, width)`` of the centre that is kept; None keeps all.
        resample: Number of Pillow's filter: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming.
        scale: Factor of the grey values 0 to 255.
        mean: Subtracted, of each channel.
        std: Divided by, of each channel.
        crop_rounds: The crop's corner is rounded to the nearest pixel, as torchvision does; transformers rounds down.
    """

    size: tuple[int, ...]
    crop: tuple[int, int] | None
    resample: int
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop_rounds: bool = False

    @classmethod
    def read(cls, table: Mapping[str, Any], where: str) -> PictureRecipe:
        """Reads the numbers of a ``preprocessor_config.json``.

        Args:
            table: The file's content.
            where: Named in errors.

        Raises:
            ConfigError: A number is missing or of no use.
        """
        try:
            size = _size(table["size"])
            crop = _pair(table["crop_size"]) if table.get("do_center_crop") else None
            if crop is not None and any(kept > edge for kept, edge in zip(crop, (size * 2)[:2], strict=True)):
                raise ValueError(f"a crop of {crop} out of {size}")
            return cls(
                size=size,
                crop=crop,
                resample=int(table["resample"]),
                scale=float(table.get("rescale_factor", 1 / 255)) if table.get("do_rescale", True) else 1.0,
                mean=_three(table["image_mean"]) if table.get("do_normalize", True) else (0.0, 0.0, 0.0),
                std=_three(table["image_std"]) if table.get("do_normalize", True) else (1.0, 1.0, 1.0),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{where} says not how pictures are prepared: {error!r}", "save the model together with its processor"
            ) from None

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> Float[Tensor, "b 3 h w"]:
        """Prepares grey pictures ``(h, w)`` uint8 of any sizes.

        Resizing is Pillow's, on 8-bit grey values, as the published towers were trained: interpolation on
        tensors rounds otherwise, and features would differ in the third digit.
        """
        values = torch.from_numpy(np.stack([self._resized(picture) for picture in pictures]))
        values = (values.float() * self.scale)[:, None]
        return (values - torch.tensor(self.mean)[:, None, None]) / torch.tensor(self.std)[:, None, None]

    def _resized(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        from PIL import Image

        height, width = self.size if len(self.size) == 2 else _by_shorter_edge(picture.shape, self.size[0])
        filter_of = Image.Resampling(self.resample)
        resized = np.asarray(Image.fromarray(picture).resize((width, height), filter_of))
        if self.crop is None:
            return resized
        spare = [have - want for have, want in zip(resized.shape, self.crop, strict=True)]
        top, left = (round(pixels / 2) if self.crop_rounds else pixels // 2 for pixels in spare)
        return resized[top : top + self.crop[0], left : left + self.crop[1]]


def _by_shorter_edge(shape: tuple[int, ...], edge: int) -> tuple[int, int]:
    shorter = min(shape)
    return int(edge * shape[0] / shorter), int(edge * shape[1] / shorter)


def _size(value: Any) -> tuple[int, ...]:
    """Returns (edge,) or (height, width); old files hold a number, which is the shorter edge."""
    if isinstance(value, Mapping) and "shortest_edge" not in value:
        return _pair(value)
    return (_positive(value["shortest_edge"] if isinstance(value, Mapping) else value),)


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, Mapping):
        return _positive(value["height"]), _positive(value["width"])
    return _positive(value), _positive(value)


def _positive(value: Any) -> int:
    if (number := int(value)) < 1:
        raise ValueError(f"{number} pixels")
    return number


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
