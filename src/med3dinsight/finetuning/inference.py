"""What a network says of a whole volume: scores of its voxels by overlapping windows, or of the volume at once."""

from __future__ import annotations

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from numpy.typing import NDArray
from torch import nn

from ..training.precision import autocast

WINDOWS_AT_ONCE = 4


@torch.inference_mode()
def predict_scores(
    network: nn.Module, voxels: NDArray[np.uint8], patch_size: int, overlap: float, device: torch.device
) -> NDArray[np.float32]:
    """Returns softmax scores ``(classes, x, y, z)`` of a prepared volume, windows weighted by a Gaussian.

    Args:
        network: Segments cubes of ``patch_size``.
        voxels: ``(x, y, z)`` uint8.
        patch_size: Edge of a window in voxels.
        overlap: Share of a window that the next one overlaps.
        device: Where the network is.
    """
    network.eval()
    volume = torch.from_numpy(voxels.astype(np.float32) / 255)[None, None].to(device)

    def window_scores(windows: torch.Tensor) -> torch.Tensor:
        with autocast(device):
            scores: torch.Tensor = network(windows)
        return scores.float().softmax(1)

    scores = sliding_window_inference(
        volume, (patch_size,) * 3, WINDOWS_AT_ONCE, window_scores, overlap=overlap, mode="gaussian"
    )
    return np.asarray(scores[0].cpu())


@torch.inference_mode()
def predict_probabilities(network: nn.Module, voxels: NDArray[np.uint8], device: torch.device) -> tuple[float, ...]:
    """Returns the probability of each class of a whole volume.

    Args:
        network: Classifies volumes of this size.
        voxels: ``(x, y, z)`` uint8.
        device: Where the network is.
    """
    network.eval()
    volume = torch.from_numpy(voxels.astype(np.float32) / 255)[None, None].to(device)
    with autocast(device):
        scores: torch.Tensor = network(volume)
    return tuple(scores[0].double().softmax(0).tolist())
