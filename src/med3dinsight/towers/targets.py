"""The targets of pre-training: projected 2D features of every slice, as ``embed`` left them."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ..workspace import Workspace, feature_store
from .projection import load_projections


def load_targets(
    workspace: Workspace, towers: str, captioner: str
) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]]:
    """Returns the projected, L2-normalised image and text features of all slices of the slice table.

    Raises:
        WorkspaceError: ``embed`` has not run for these towers and this captioner.
    """
    folder = workspace.features / towers
    image, text = load_projections(folder / captioner / "projection.safetensors")
    images = image(feature_store.read(folder / "image.npy"))
    texts = text(feature_store.read(folder / captioner / "text.npy"))
    return images, texts
