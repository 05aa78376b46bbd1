"""Two crops of one volume with their texts: what the text-informed methods see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..errors import ConfigError
from ..records import Crop
from .pool import Pool

#: Most text tokens of a crop.
MOST_TOKENS = 256


@dataclass(frozen=True)
class PairedCrops:
    """Crops of a step, a row a volume.

    Attributes:
        pairs: Two crops of one volume each; the same one twice where a volume has no second.
        subjects: ``(b,)``, a number for the person of each row.
    """

    pairs: list[tuple[Crop, Crop]]
    subjects: Int[Tensor, " b"]


def draw_pairs(rng: np.random.Generator, pool: Pool, count: int) -> PairedCrops:
    """Draws two different crops of each volume; people take turns."""
    pairs = []
    for crop in pool.draw_crops(rng, count):
        others = [other for other in pool.crops_of_volume(crop.case) if other != crop] or [crop]
        pairs.append((crop, others[rng.integers(len(others))]))
    people = [pool.subjects.index(pool.store.cases[crop.case].subject) for crop, _ in pairs]
    return PairedCrops(pairs, torch.tensor(people))


def refuse_lonely(pool: Pool, method: str) -> None:
    """Refuses a pool in which two crops of one volume, or two people, cannot be had.

    Raises:
        ConfigError: There is one person, or every volume has one crop only.
    """
    if len(pool.subjects) < 2:
        raise ConfigError(
            f"{method} contrasts people, and there is one to pre-train on: {pool.subjects[0]}",
            "pre-train on two people or more",
        )
    cases = [crop.case for crops in pool.rows.values() for crop in crops]
    if len(set(cases)) == len(cases):
        raise ConfigError(
            f"{method} compares two crops of a volume, and every volume here has one crop only",
            "prepare with the native protocol and caption two crops a volume or more (caption.crops_per_volume)",
        )


def text_tokens(
    rng: np.random.Generator, pool: Pool, crops: list[tuple[Crop, ...]]
) -> tuple[Float[Tensor, "b l f"], Bool[Tensor, "b l"]]:
    """Returns the text features of the slices of each row's crops that show something, a token each.

    Args:
        rng: Chooses where there are more than :data:`MOST_TOKENS`.
        pool: Has the features.
        crops: One or more crops a row.

    Returns:
        Tokens, filled up with zeros; and which of them are real.
    """
    _, texts = pool.features()
    rows = []
    for row in crops:
        numbers = np.array([number for crop in row for number in pool.rows_of(crop)])
        rows.append(rng.permutation(numbers)[:MOST_TOKENS] if len(numbers) > MOST_TOKENS else numbers)
    longest = max(map(len, rows))
    tokens = torch.zeros(len(rows), longest, texts.shape[1])
    real = torch.zeros(len(rows), longest, dtype=torch.bool)
    for place, numbers in enumerate(rows):
        tokens[place, : len(numbers)] = texts[torch.from_numpy(numbers)]
        real[place, : len(numbers)] = True
    return tokens, real


def mean_token(tokens: Float[Tensor, "b l f"], real: Bool[Tensor, "b l"]) -> Float[Tensor, "b f"]:
    """Mean of the real tokens, each L2-normalised: a report of a volume in one vector."""
    unit = torch.nn.functional.normalize(tokens, dim=-1) * real.unsqueeze(2)
    return unit.sum(1) / real.sum(1, keepdim=True)


def of_somebody_else(subjects: Int[Tensor, " b"]) -> Int[Tensor, " b"] | None:
    """For each row the number of the next one of another person; None where there is nobody else."""
    other = subjects[:, None] != subjects[None, :]
    if not bool(other.any(1).all()):
        return None
    rows = torch.arange(len(subjects), device=subjects.device)
    ahead = (rows[None, :] - rows[:, None]) % len(rows)
    return ahead.masked_fill(~other, len(rows)).argmin(1)
