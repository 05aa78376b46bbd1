"""The question of slice localisation: crops, where they are asked, what lies there, and where else to ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, InputError
from ..records import Crop, SliceRef
from ..types import Plane
from ..workspace import Workspace
from ..workspace.voxel_store import VoxelStore

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..alignment.aligned_encoder import AlignedEncoder


@dataclass(frozen=True)
class Gallery:
    """The crops of some people with the features of their slices, p planes x j positions each.

    Attributes:
        crops: Crops of the people, ``(c,)``.
        wrong: As many crops of other people.
        volumes: Reads a crop's voxels as ``(s, s, s)`` uint8.
        planes: ``(p * j,)`` planes of a crop's slices.
        positions: ``(p * j,)`` their positions relative to the crop.
        places_mm: ``(c, p, j)`` the same in mm from the crop's edge.
        features: Image and text features, each ``(c, p, j, e)``.
        visible: ``(c, p, j)`` slices that show something and have a text.
    """

    crops: list[Crop]
    wrong: list[Crop]
    volumes: Callable[[Crop], NDArray[np.uint8]]
    planes: Tensor
    positions: Tensor
    places_mm: Tensor
    features: tuple[Tensor, Tensor]
    visible: Tensor


def build_gallery(
    workspace: Workspace, people: list[str], towers: str, captioner: str, *, max_crops: int, seed: int
) -> Gallery:
    """Collects the crops of the people, their slices' features, and crops of others of the same modality.

    Args:
        workspace: Captioned and embedded.
        people: Whose crops are asked.
        towers: Whose features.
        captioner: Whose texts; for shuffled ones the true texts are asked for.
        max_crops: Crops a person.
        seed: Of the wrong volumes.

    Raises:
        ConfigError: There is nobody else whose crops could be the wrong volume, or crops have slices at other places.
        InputError: The people have no crops, or nothing is to be seen in them.
    """
    import torch

    from ..slices.emptiness import is_empty
    from ..targets.loading import load_targets
    from ..workspace.caption_store import CaptionStore

    store = VoxelStore(workspace.prepared)
    with CaptionStore(workspace.captions) as ledger:
        slices = ledger.slices()
    by_crop: dict[Crop, list[int]] = {}
    for row, ref in enumerate(slices):
        by_crop.setdefault(ref.crop, []).append(row)
    own: list[Crop] = []
    for person in people:
        own += [crop for crop in by_crop if store.cases[crop.case].subject == person][:max_crops]
    _refuse_uneven(slices, [by_crop[crop] for crop in own])
    shown = [
        [not is_empty(voxels, slices[row]) for row in by_crop[crop]] for crop in own for voxels in [store.crop(crop)]
    ]
    if not any(any(row) for row in shown):
        raise InputError(f"nothing is to be seen in the crops of {', '.join(people)}", "locate in other people")
    others = [crop for crop in by_crop if store.cases[crop.case].subject not in people]
    if not others:
        raise ConfigError("there is no other person whose crops could be the wrong volume", "prepare more people")
    images, texts = load_targets(workspace, towers, captioner, texts_of=_true_texts(workspace, captioner))
    rows = torch.tensor([by_crop[crop] for crop in own]).reshape(len(own), len(Plane), -1)
    visible = torch.tensor(shown).reshape(rows.shape) & ~texts[rows].isnan().any(-1)
    if not visible.any():
        raise InputError(f"no slice of {', '.join(people)} that shows something has a text", "caption them first")
    return Gallery(
        crops=own,
        wrong=_wrong_crops(np.random.default_rng([seed, 40]), own, others, store),
        volumes=store.crop,
        planes=torch.tensor([int(slices[row].plane) for row in by_crop[own[0]]]),
        positions=torch.tensor([slices[row].relative_position for row in by_crop[own[0]]]),
        places_mm=torch.tensor([[_place_mm(slices[row], store) for row in by_crop[crop]] for crop in own]).reshape(
            rows.shape
        ),
        features=(images[rows], texts[rows].nan_to_num()),
        visible=visible,
    )


def _refuse_uneven(slices: list[SliceRef], crops: list[list[int]]) -> None:
    """Refuses crops that were not captioned at the same places, as many in every plane: they are asked as one table."""
    asked = {tuple((slices[row].plane, slices[row].index) for row in rows) for rows in crops}
    counts = {sum(plane == one for plane, _ in places) for places in asked for one in Plane}
    if len(asked) > 1 or len(counts) > 1:
        raise ConfigError(
            "slice localisation asks all crops at the same places, and they were captioned at others",
            'caption with caption.sampling = "uniform" and one count for caption.positions_per_plane',
        )


def answer(model: AlignedEncoder, gallery: Gallery, crops: list[Crop], device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns PSAT's image and text vectors for crops at every place, each ``(c, p, j, e)`` on the CPU."""
    import torch

    from ..training.precision import autocast

    images, texts = [], []
    with torch.inference_mode():
        for crop in crops:
            voxels = torch.from_numpy(gallery.volumes(crop).astype(np.float32) / 255)[None, None].to(device)
            with autocast(device):
                image, text = model(voxels, gallery.planes[None].to(device), gallery.positions[None].to(device))
            images.append(image[0].float().cpu())
            texts.append(text[0].float().cpu())
    shape = (len(crops), len(Plane), -1)
    return (
        torch.stack(images).reshape(*shape, images[0].shape[-1]),
        torch.stack(texts).reshape(*shape, texts[0].shape[-1]),
    )


def _place_mm(ref: SliceRef, store: VoxelStore) -> float:
    return (ref.index + 0.5) * store.cases[ref.crop.case].spacing_mm[ref.plane.axis]


def _true_texts(workspace: Workspace, captioner: str) -> str | None:
    """Returns whose texts the shuffled captioner has dealt out wrongly, None for the others.

    Asked with its own texts a run on shuffled captions could only fail; asked with the true ones it fails because
    of what it learned.
    """
    if captioner != "shuffled":
        return None
    return str(workspace.require(workspace.captions / captioner, "caption --captioner shuffled").config["shuffle_of"])


def _wrong_crops(rng: np.random.Generator, own: list[Crop], others: list[Crop], store: VoxelStore) -> list[Crop]:
    """Draws a crop of somebody else for each crop, of the same modality where there is one; none twice before all."""
    left: dict[str, list[Crop]] = {}
    wrong = []
    for crop in own:
        modality = store.cases[crop.case].modality
        if not left.get(modality):
            alike = [other for other in others if store.cases[other.case].modality == modality] or others
            left[modality] = [alike[i] for i in rng.permutation(len(alike))]
        wrong.append(left[modality].pop())
    return wrong
