"""The frozen voxel probe: can a linear classifier read tissue classes out of an encoder's last map?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from ..types import Shape3
from ..workspace.voxel_store import cut

#: Strength of the L2 penalty (inverse, as in scikit-learn).
REGULARISATION = 0.1


def tile_origins(shape: Shape3, size: int) -> Int[np.ndarray, "t 3"]:
    """Origins of crops that cover a volume; neighbours overlap by a quarter at least.

    Example:
        >>> tile_origins((64, 64, 100), 64).tolist()
        [[0, 0, 0], [0, 0, 36]]
    """
    axes = []
    for length in shape:
        if length <= size:
            axes.append([(length - size) // 2])
        else:
            count = 1 + -(-(length - size) // (size * 3 // 4))
            axes.append([round(value) for value in np.linspace(0, length - size, count)])
    return np.array([[x, y, z] for x in axes[0] for y in axes[1] for z in axes[2]])


@torch.inference_mode()
def voxel_features(
    encoder: nn.Module, voxels: NDArray[np.uint8], places: Int[np.ndarray, "n 3"], size: int, device: torch.device
) -> Float[np.ndarray, "n c"]:
    """Interpolates an encoder's tokens at voxels of a volume.

    The volume is covered by crops; a voxel is read from the crop whose centre is nearest.

    Args:
        encoder: A module that returns an ``EncoderOutput``.
        voxels: ``(x, y, z)`` uint8.
        places: Voxel indices, at least one.
        size: Edge of the crops.
        device: Where the encoder is.
    """
    shape = (voxels.shape[0], voxels.shape[1], voxels.shape[2])
    origins = tile_origins(shape, size)
    distance = np.abs(places[:, None] + 0.5 - (origins[None] + size / 2)).max(-1)
    nearest = distance.argmin(1)
    result: NDArray[np.float32] | None = None
    for tile in np.unique(nearest):
        x, y, z = (int(value) for value in origins[tile])
        crop = cut(voxels, (x, y, z), (size,) * 3).astype(np.float32) / 255
        encoded = encoder(torch.from_numpy(crop)[None, None].to(device))
        volume = encoded.tokens.float().transpose(1, 2).unflatten(2, encoded.grid)
        inside = np.flatnonzero(nearest == tile)
        relative = (places[inside] + 0.5 - origins[tile]) / size * 2 - 1
        grid = torch.from_numpy(relative[:, ::-1].astype(np.float32).copy()).to(device).reshape(1, -1, 1, 1, 3)
        sampled: Tensor = F.grid_sample(volume, grid, padding_mode="border", align_corners=False)
        if result is None:
            result = np.empty((len(places), volume.shape[1]), dtype=np.float32)
        result[inside] = sampled[0, :, :, 0, 0].T.cpu().numpy()
    assert result is not None  # there is at least one place
    return result


@dataclass(frozen=True)
class VoxelProbe:
    """A fitted classifier of frozen features.

    Attributes:
        model: Scaler and logistic regression, as scikit-learn fits them.
        classes: The classes it knows, in the order of its scores.
    """

    model: Any
    classes: tuple[int, ...]

    def auc(self, features: Float[np.ndarray, "m c"], classes: Int[np.ndarray, " m"]) -> dict[int, float]:
        """Area under the ROC curve of each class against the rest, for the classes that the voxels have too."""
        from sklearn.metrics import roc_auc_score

        scores = self.model.decision_function(features)
        if scores.ndim == 1:
            scores = np.stack([-scores, scores], axis=1)
        return {
            value: float(roc_auc_score(classes == value, scores[:, column]))
            for column, value in enumerate(self.classes)
            if 0 < (classes == value).sum() < len(classes)
        }


def fit_probe(features: Float[np.ndarray, "n c"], classes: Int[np.ndarray, " n"]) -> VoxelProbe:
    """Fits a logistic regression on standardised frozen features; one fit serves any number of test people.

    Args:
        features: Features of the training people's voxels.
        classes: Their class indices, two different ones at least.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=2000))
    model.fit(features, classes)
    return VoxelProbe(model, tuple(int(value) for value in model[-1].classes_))


def probe_auc(
    train: Float[np.ndarray, "n c"],
    train_classes: Int[np.ndarray, " n"],
    test: Float[np.ndarray, "m c"],
    test_classes: Int[np.ndarray, " m"],
) -> dict[int, float]:
    """Area under the ROC curve of each class against the rest, by a logistic regression on frozen features.

    Args:
        train: Features of the training people's voxels.
        train_classes: Their class indices.
        test: Features of the test people's voxels.
        test_classes: Their class indices.

    Returns:
        ``{class: AUC}`` for the classes that both sides have, two at least on each side.
    """
    return fit_probe(train, train_classes).auc(test, test_classes)
