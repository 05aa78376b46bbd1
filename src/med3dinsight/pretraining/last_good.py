"""What is left of a run that diverges: its last good checkpoint, as weights that another run can start from."""

from __future__ import annotations

from pathlib import Path

from ..errors import DivergenceError
from ..training.checkpoint import load_weights_of
from .building import Built, save_run
from .config import PretrainConfig
from .loop import state_of
from .people import Sighted


def keep_last_good(
    folder: Path, config: PretrainConfig, built: Built, image_size: int, sighted: Sighted, identity: str
) -> tuple[int, Path] | None:
    """Writes the weights of a run's last checkpoint, and ``encoder.json``, as a finished run has them.

    They get a folder of their own in the run's, named after the step and the run's identity: the next run of that name
    starts anew and takes the checkpoint's place, but not theirs. What is there already stays as it is.

    Args:
        folder: The run's folder, with its checkpoint.
        config: Resolved settings.
        built: Takes the checkpoint's weights.
        image_size: Edge of the crops in voxels.
        sighted: Whom the encoder has seen.
        identity: Fingerprint of the run.

    Returns:
        The finished steps and the file of the encoder's weights; None where the run has no checkpoint yet.
    """
    assert built.objective is not None  # something has diverged
    step = load_weights_of(folder / "checkpoint.pt", identity, state_of(built.objective, built.average))
    if not step:
        return None
    kept = folder / f"last-good-step{step}-{identity[:8]}"
    if not (kept / "encoder.json").exists():
        save_run(kept, config, built, image_size, sighted, identity)
    return step, kept / "encoder.safetensors"


def advise(error: DivergenceError, left: tuple[int, Path] | None, config: PretrainConfig) -> DivergenceError:
    """Returns the error with what to do next: how to go on from what :func:`keep_last_good` has left."""
    lower = f"lower pretrain.learning_rate = {config.recipe.learning_rate:g}"
    if left is None:
        return DivergenceError(error.message, f"{lower}; there was no checkpoint yet, so that the run starts anew")
    step, path = left
    return DivergenceError(error.message, f"{lower}, and go on from step {step} with pretrain.init = {path}")
