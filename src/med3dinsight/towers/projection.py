"""From raw tower features to the targets of pre-training: fixed whitened projections, or tuned ones.

``whitened`` is closed-form: each side is whitened to its leading principal components, then rotated so that
matching directions of image and text come first (canonical correlation). ``tuned`` is the paper's CLIP
fine-tuning step at the smallest scale: linear projections trained contrastively on the slice/text pairs of
the training people, towers frozen. It fits training people closely and new ones little; both figures are
reported by ``embed``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..errors import ConfigError, WorkspaceError
from ..losses.infonce import infonce
from ..workspace.files import write_bytes

#: Weight decay of the tuned projections; they overfit at once without it.
TUNING_WEIGHT_DECAY = 0.3
#: Share of the mean variance added to every direction before whitening.
SHRINKAGE = 0.05


@dataclass(frozen=True)
class Projection:
    """A linear map of features: ``(x - mean) @ matrix``.

    Attributes:
        mean: ``(d,)``.
        matrix: ``(d, e)``.
    """

    mean: Float[Tensor, " d"]
    matrix: Float[Tensor, "d e"]

    def __call__(self, features: NDArray[np.floating]) -> Float[Tensor, "n e"]:
        """Projects features ``(n, d)`` and L2-normalises them."""
        x = torch.from_numpy(np.asarray(features, dtype=np.float32))
        return F.normalize((x - self.mean) @ self.matrix, dim=-1)


def _whitener(features: Float[Tensor, "n d"], rank: int) -> Projection:
    mean = features.mean(0)
    centred = (features - mean).double()
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    values, vectors = values.flip(0)[:rank], vectors.flip(1)[:, :rank]
    scale = (values.clamp(min=0) + SHRINKAGE * values.clamp(min=0).mean()).rsqrt()
    return Projection(mean, (vectors * scale).float())


def fit_whitened(
    image: NDArray[np.floating], text: NDArray[np.floating], rank: int, *, rotate: bool = True
) -> tuple[Projection, Projection]:
    r"""Fits whitened projections of image and text features, rotated onto each other.

    With whitened :math:`x, y` and :math:`x^T y / n = U S V^T`, the projections are :math:`xU` and
    :math:`yV` (canonical correlation analysis, Hotelling 1936, on shrunk leading components).

    Args:
        image: ``(n, d)`` image features of the training people.
        text: ``(n, f)`` text features of the same slices.
        rank: Width of the projected features; at most min(n - 1, d, f) is used.
        rotate: Turn the sides onto each other; without it each keeps its own principal axes.

    Returns:
        The image and the text projection, of equal width.
    """
    rank = min(rank, len(image) - 1, image.shape[1], text.shape[1])
    x, y = (torch.from_numpy(np.asarray(a, dtype=np.float32)) for a in (image, text))
    px, py = _whitener(x, rank), _whitener(y, rank)
    if not rotate:
        return px, py
    wx, wy = (x - px.mean) @ px.matrix, (y - py.mean) @ py.matrix
    u, _, vh = torch.linalg.svd(wx.T @ wy / len(wx))
    return Projection(px.mean, px.matrix @ u), Projection(py.mean, py.matrix @ vh.T)


def fit_tuned(
    image: NDArray[np.floating], text: NDArray[np.floating], rank: int, *, steps: int, seed: int, batch: int = 256
) -> tuple[Projection, Projection]:
    """Tunes linear projections of both sides contrastively, starting from the whitened ones.

    Args:
        image: ``(n, d)`` image features of the training people.
        text: ``(n, f)`` text features of the same slices.
        rank: Width of the projected features.
        steps: Optimiser steps.
        seed: Seed of the batches.
        batch: Pairs a step.

    Returns:
        The image and the text projection, of equal width.
    """
    start = fit_whitened(image, text, rank)
    matrices = [nn.Parameter(projection.matrix.clone()) for projection in start]
    optimizer = torch.optim.AdamW(matrices, lr=1e-3, weight_decay=TUNING_WEIGHT_DECAY)
    sides = [
        torch.from_numpy(np.asarray(a, dtype=np.float32)) - p.mean for a, p in zip((image, text), start, strict=True)
    ]
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        rows = torch.from_numpy(rng.choice(len(image), size=min(batch, len(image)), replace=False))
        projected = [side[rows] @ matrix for side, matrix in zip(sides, matrices, strict=True)]
        loss = infonce(projected[0], projected[1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (
        Projection(start[0].mean, matrices[0].detach()),
        Projection(start[1].mean, matrices[1].detach()),
    )


def own_space(image_width: int, text_width: int) -> tuple[Projection, Projection]:
    """Returns projections that change nothing: targets are the features of towers that share a space already.

    Raises:
        ConfigError: The widths differ, so that the towers share none.
    """
    if image_width != text_width:
        raise ConfigError(
            f"features of pictures have {image_width} numbers and those of texts {text_width}: they share no space",
            "embed.projection=none is for towers such as clip; use whitened or tuned",
        )
    unchanged = Projection(torch.zeros(image_width), torch.eye(image_width))
    return unchanged, unchanged


def save_projections(path: Path, image: Projection, text: Projection) -> None:
    """Writes an image and a text projection as safetensors."""
    state = {"image.mean": image.mean, "image.matrix": image.matrix, "text.mean": text.mean, "text.matrix": text.matrix}
    write_bytes(path, save({name: value.contiguous().clone() for name, value in state.items()}))


def load_projections(path: Path) -> tuple[Projection, Projection]:
    """Reads the image and the text projection.

    Raises:
        WorkspaceError: They have not been written.
    """
    if not path.exists():
        raise WorkspaceError(f"no projections at {path}", "run `med3dinsight embed` first")
    state = load_file(path)
    return Projection(state["image.mean"], state["image.matrix"]), Projection(state["text.mean"], state["text.matrix"])
