"""The targets of pre-training: projected 2D features of every slice, as ``embed`` left them."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ..workspace import Workspace, feature_store
from .projection import load_projections


def load_targets(
    workspace: Workspace, towers: str, captioner: str, *, texts_of: str | None = None
) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]]:
    """Returns the projected, L2-normalised image and text features of all slices of the slice table.

    The text of a slice that has none is NaN.

    Args:
        workspace: Embedded.
        towers: Whose features.
        captioner: Whose projections, and whose texts unless ``texts_of`` is given.
        texts_of: Another captioner whose texts to project: a run on shuffled texts is asked with the true ones.

    Raises:
        WorkspaceError: ``embed`` has not run for these towers and this captioner.
    """
    folder = workspace.features / towers
    image, text = load_projections(folder / captioner / "projection.safetensors")
    images = image(feature_store.read(folder / "image.npy"))
    texts = text(feature_store.read(folder / (texts_of or captioner) / "text.npy"))
    return images, texts
