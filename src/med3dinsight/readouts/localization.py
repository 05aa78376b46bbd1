"""Slice localisation: given a slice's features, where in a volume does PSAT find it?

A crop is asked at every (plane, position) of a grid. On the true plane, the position whose answer is most
similar to the slice's features is the estimate; its distance to the truth is the error in mm. Plane accuracy
is not reported: the position embedding alone solves it, with the wrong volume too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from .ranking import TIE, first_place


@dataclass(frozen=True)
class LocalizationScores:
    """Errors of one gallery.

    Attributes:
        mean_mm: Mean position error.
        median_mm: Median position error.
        crop_recall_at_1: Share of slices whose own crop, among the gallery's crops asked at the slice's place,
            answers most similarly; chance is 1 / gallery.
        gallery: Number of crops.
        slices: Number of slices that were located.
    """

    mean_mm: float
    median_mm: float
    crop_recall_at_1: float
    gallery: int
    slices: int


def similarity(
    answers: tuple[Float[Tensor, "*a e"], Float[Tensor, "*a f"]],
    features: tuple[Float[Tensor, "*q e"], Float[Tensor, "*q f"]],
    match: str,
    equation: str,
) -> Tensor:
    """Mean cosine similarity over the sides that are matched; ``equation`` is an einsum of (answers, features)."""
    sides = {"both": (0, 1), "image": (0,), "text": (1,)}[match]
    parts = [
        torch.einsum(equation, F.normalize(answers[s].float(), dim=-1), F.normalize(features[s].float(), dim=-1))
        for s in sides
    ]
    return torch.stack(parts).mean(0)


def position_errors(
    answers: tuple[Float[Tensor, "c p j e"], Float[Tensor, "c p j f"]],
    features: tuple[Float[Tensor, "c p j e"], Float[Tensor, "c p j f"]],
    places_mm: Float[Tensor, "c p j"],
    match: str = "both",
) -> Float[Tensor, "c p j"]:
    """Error in mm of the best position on the true plane, for every slice of every crop.

    Positions that are as good are drawn from: the mean of their errors counts, so that answers which are the same
    everywhere name no position.

    Args:
        answers: PSAT's image and text vectors for c crops, p planes, j positions.
        features: The slices' image and text features at the same places.
        places_mm: Where the positions lie along the axis of their plane.
        match: "both", "image" or "text".
    """
    scores = similarity(answers, features, match, "cpie,cpje->cpji")
    best = scores >= scores.amax(-1, keepdim=True) - TIE
    errors = (places_mm.unsqueeze(-1) - places_mm.unsqueeze(-2)).abs()
    return (errors * best).sum(-1) / best.sum(-1)


def crop_hits(
    answers: tuple[Float[Tensor, "c p j e"], Float[Tensor, "c p j f"]],
    features: tuple[Float[Tensor, "c p j e"], Float[Tensor, "c p j f"]],
    match: str = "both",
) -> Float[Tensor, "c p j"]:
    """Whether the right crop comes first among all crops asked at the slice's plane and position.

    Returns:
        1 or 0; with ties for the first place, the chance of a draw: crops that all answer alike are no hit.
    """
    scores = similarity(answers, features, match, "dpje,cpje->cpjd")
    return first_place(scores, torch.diagonal(scores, dim1=0, dim2=3).movedim(-1, 0).unsqueeze(-1))


def localize(
    answers: tuple[Float[Tensor, "c p j e"], Float[Tensor, "c p j f"]],
    features: tuple[Float[Tensor, "c p j e"], Float[Tensor, "c p j f"]],
    visible: Bool[Tensor, "c p j"],
    places_mm: Float[Tensor, "c p j"],
    match: str = "both",
) -> LocalizationScores:
    """Scores a gallery; slices that show next to nothing (``visible`` False) are not asked for.

    Args:
        answers: PSAT's image and text vectors for c crops, p planes, j positions.
        features: The slices' image and text features at the same places.
        visible: Slices to ask for; at least one.
        places_mm: Where the positions lie along the axis of their plane.
        match: "both", "image" or "text".
    """
    errors = position_errors(answers, features, places_mm, match)[visible]
    hits = crop_hits(answers, features, match)[visible]
    return LocalizationScores(
        mean_mm=float(errors.mean()),
        median_mm=float(errors.median()),
        crop_recall_at_1=float(hits.mean()),
        gallery=int(visible.shape[0]),
        slices=int(visible.sum()),
    )


def blind_guess(visible: Bool[Tensor, "c p j"], places_mm: Float[Tensor, "c p j"]) -> LocalizationScores:
    """Scores whoever sees no volume and always names one position a plane, the best one for these very slices.

    An error above this is worse than knowing nothing; the wrong volume is expected near it.

    Args:
        visible: Slices that are asked for; at least one.
        places_mm: Where the positions lie along the axis of their plane.
    """
    errors = (places_mm.unsqueeze(-1) - places_mm.unsqueeze(-2)).abs()
    shown = visible.unsqueeze(-1).expand_as(errors)
    best = (errors * shown).sum((0, 2)).argmin(-1)
    named = torch.stack([errors[:, plane, :, index] for plane, index in enumerate(best.tolist())], dim=1)[visible]
    gallery = int(visible.shape[0])
    return LocalizationScores(float(named.mean()), float(named.median()), 1 / gallery, gallery, int(visible.sum()))
