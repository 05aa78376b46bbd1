"""Losses, one idea a file, pure functions of tensors."""

from .infonce import infonce
from .segmentation import segmentation_loss, soft_dice_loss

__all__ = ["infonce", "segmentation_loss", "soft_dice_loss"]
