"""Loading a published model of transformers from its folder, or saying why it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..errors import ConfigError


def load_model(folder: Path, unused: tuple[str, ...] = ()) -> Any:
    """Loads a model by the type that its ``config.json`` names, in fp32 and evaluation mode; nothing is fetched.

    Args:
        folder: Holds config.json and the weights.
        unused: Beginnings of names of weights that may be missing, because nobody looks at what they compute.

    Raises:
        ConfigError: It cannot be loaded, or some of its weights are missing and would be random.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the stage has a bar of its own
    try:
        model, told = AutoModel.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except Exception as error:  # a broken folder fails in as many ways as it has files
        raise _broken(folder, error) from None
    if missing := sorted(name for name in told["missing_keys"] if not name.startswith(unused or "\0")):
        raise ConfigError(
            f"the weights in {folder} lack {len(missing)} parts of the model, {missing[0]} among them",
            "fetch or save the model again; parts that are missing would be random",
        )
    return model.to(torch.float32).eval()


def load_tokenizer(folder: Path) -> Any:
    """Loads the tokenizer of a model's folder; nothing is fetched.

    Raises:
        ConfigError: There is none that can be loaded.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # see above
        raise _broken(folder, error) from None


def _broken(folder: Path, error: Exception) -> ConfigError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ConfigError(f"{folder} cannot be loaded: {reason}", "fetch or save the model again")
