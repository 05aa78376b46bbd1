"""Losses, one idea a file: pure functions of tensors, and small modules where something is learned."""

from .alignment import ALIGNMENT_LOSSES, AlignmentLoss, AlignmentSettings, build_alignment_loss
from .balanced_transport import log_transport_plan, transport_plan
from .infonce import infonce
from .partial_transport import log_partial_transport_plan, partial_transport_plan
from .segmentation import segmentation_loss, soft_dice_loss
from .sigmoid import sigmoid_loss

__all__ = [
    "ALIGNMENT_LOSSES",
    "AlignmentLoss",
    "AlignmentSettings",
    "build_alignment_loss",
    "infonce",
    "log_partial_transport_plan",
    "log_transport_plan",
    "partial_transport_plan",
    "segmentation_loss",
    "sigmoid_loss",
    "soft_dice_loss",
    "transport_plan",
]
