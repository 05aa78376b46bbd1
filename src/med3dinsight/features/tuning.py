"""Fine-tuning towers with a joint space on the slice/text pairs of the training people: stage 1 of the method.

Loss is symmetric InfoNCE at the temperature that the towers were trained with, over batches of slices with
different texts: two slices of one text would be each other's false negatives. The tuned model is saved whole, in
the folder form that it came in, and is towers of its own from then on.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ConfigError, DivergenceError, InputError
from ..losses.infonce import infonce
from ..readouts.online import matching_accuracy
from ..records import SliceRef
from ..targets.pictures import picture_of, slice_key
from ..towers.joint import JointTowers
from ..towers.low_rank import add_adapters, merge_adapters
from ..towers.model_folder import TUNED
from ..towers.registry import load_towers
from ..towers.tower import TowerPair
from ..types import Progress
from ..workspace.files import disk_errors, read_json, write_json
from ..workspace.provenance import fingerprint
from ..workspace.voxel_store import VoxelStore
from .config import EmbedConfig

#: Learning rates where ``embed.tuning_rate`` names none.
RATES = {"full": 1e-5, "lora": 1e-4, "projections": 1e-4}
WEIGHT_DECAY = 0.1
#: Share of the steps over which the rate rises from zero; it falls to zero as a cosine afterwards.
WARMUP = 0.1
#: Slices in the retrieval gallery.
GALLERY = 256
_RESULT = "tuning.json"
_VERSION = 1

#: Returns the pictures of some rows of the slice table.
Pictures = Callable[[Sequence[int]], list[NDArray[np.uint8]]]


def load_or_tune(
    config: EmbedConfig,
    folder: Path,
    device: torch.device,
    store: VoxelStore,
    slices: Sequence[SliceRef],
    texts: Sequence[str | None],
    people: Sequence[str],
    progress: Progress,
) -> tuple[TowerPair, dict[str, float] | None]:
    """Loads the towers; fine-tunes them first where the settings say so, and loads what that gave.

    The tuned model appears in ``folder/tuned`` whole at the end: a run that was killed begins to tune anew. One that
    was tuned on the same pairs with the same settings is taken as it is.

    Args:
        config: Which towers; mode, steps, rate and seed of tuning, and who is held out of it.
        folder: Of the captioner's features.
        device: Where the towers run.
        store: Voxels.
        slices: The slice table.
        texts: Of each slice; None where it has none.
        people: Of each slice.
        progress: Told the steps of tuning.

    Returns:
        The towers; and where they were tuned R@1 among :data:`GALLERY` slices of held-out people, or of the training
        people where nobody is held out: ``image_to_text_before``, ``text_to_image_before``, and both ``_after``.

    Raises:
        ConfigError: The towers cannot be loaded, or have nothing of the kind that is to be trained.
        DivergenceError: The loss is not finite.
        InputError: The training people have fewer than two different texts.
    """
    towers = load_towers(config.towers, device, model=config.model, hub=config.hub)
    if not config.tunes_towers:
        if (folder / TUNED).exists():
            shutil.rmtree(folder / TUNED)
        return towers, None
    told, away = np.array([text is not None for text in texts]), np.isin(people, config.held_out)
    trained, tested = np.flatnonzero(told & ~away).tolist(), np.flatnonzero(told & away).tolist()
    pairs = [[slice_key(store, slices[row]).hex(), texts[row]] for row in trained]
    seen = [[slice_key(store, slices[row]).hex(), texts[row]] for row in tested]
    identity = fingerprint("tuning", _VERSION, towers.identity, config.identity(), pairs, seen)
    result = folder / TUNED / _RESULT
    if not result.exists() or read_json(result)["identity"] != identity:

        def pictures(rows: Sequence[int]) -> list[NDArray[np.uint8]]:
            return [picture_of(store, slices[row]) for row in rows]

        model = cast(JointTowers, towers)
        gallery = np.random.default_rng(0).permutation(tested or trained)[:GALLERY].tolist()
        retrieval = _retrieval(model, pictures, texts, gallery, "before")
        _train(config, model, pictures, texts, trained, progress)
        retrieval |= _retrieval(model, pictures, texts, gallery, "after")
        _save(folder, model, {"identity": identity, "retrieval": retrieval})
    return load_towers(config.towers, device, model=str(folder / TUNED)), dict(read_json(result)["retrieval"])


def _train(
    config: EmbedConfig,
    towers: JointTowers,
    pictures: Pictures,
    texts: Sequence[str | None],
    trained: Sequence[int],
    progress: Progress,
) -> None:
    rows_of: dict[str, list[int]] = {}
    for row in trained:
        rows_of.setdefault(str(texts[row]), []).append(row)
    if len(rows_of) < 2:
        raise InputError(f"the training people have {len(rows_of)} different texts", "tuning needs at least two")
    mode = config.tuned
    parameters, rng = _trainable(config, towers, mode), np.random.default_rng(config.seed)
    rate, known = config.tuning_rate or RATES[mode], sorted(rows_of)
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=WEIGHT_DECAY)
    for step in range(config.tuning_steps):
        chosen = rng.choice(len(known), size=min(config.tuning_batch, len(known)), replace=False)
        rows = [int(rng.choice(rows_of[known[number]])) for number in chosen]
        for group in optimizer.param_groups:
            group["lr"] = rate * _share(step, config.tuning_steps)
        images = towers.image_features(towers.recipe(pictures(rows)))
        loss = infonce(images, towers.text_features([known[number] for number in chosen]), towers.temperature)
        if not torch.isfinite(loss):
            raise DivergenceError(f"the loss of tuning is {loss.item()} at step {step}", "lower embed.tuning_rate")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        progress(step + 1, config.tuning_steps, "tuning the towers")
    merge_adapters(towers.model)
    towers.model.requires_grad_(False)


def _trainable(config: EmbedConfig, towers: JointTowers, mode: str) -> list[torch.nn.Parameter]:
    towers.model.requires_grad_(False)
    if mode == "lora":
        found = add_adapters(towers.model, towers.attention_maps, config.tuning_rank, config.seed)
    else:
        every = {name: value for name, value in towers.model.named_parameters() if "logit_" not in name}
        found = [value for name, value in every.items() if mode == "full" or name.startswith(towers.last_maps)]
    if not found:
        raise ConfigError(f"{config.towers} have nothing that embed.tuning={mode} could train", "take tuning=full")
    for value in found:
        value.requires_grad_(True)
    return found


def _share(step: int, steps: int) -> float:
    """The share of the learning rate at a step."""
    warmup = max(1, round(WARMUP * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _retrieval(
    towers: JointTowers, pictures: Pictures, texts: Sequence[str | None], rows: list[int], when: str
) -> dict[str, float]:
    images = torch.from_numpy(towers.embed_images(pictures(rows)))
    told = torch.from_numpy(towers.embed_texts([str(texts[row]) for row in rows]))
    return {
        f"image_to_text_{when}": matching_accuracy(images, told),
        f"text_to_image_{when}": matching_accuracy(told, images),
    }


def _save(folder: Path, towers: JointTowers, result: dict[str, Any]) -> None:
    final, draft = folder / TUNED, folder / f"{TUNED}.part"
    with disk_errors(final):
        for left in (draft, final):
            if left.exists():
                shutil.rmtree(left)
        draft.mkdir(parents=True)
        towers.save(draft)
        write_json(draft / _RESULT, result)
        os.replace(draft, final)
