"""Med3DInsight and its extension: a volume, asked at (plane, position), answers with the features of that slice."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ..alignment.aligned_encoder import AlignedEncoder
from ..encoders.encoder import token_positions
from ..losses.alignment import build_alignment_loss
from ..readouts.online import embedding_spread, matching_accuracy
from ..training.seeding import step_generator
from .config import PretrainConfig
from .masking import draw_masks
from .objective import Inputs, Represented, Terms
from .pool import Pool
from .psat_choices import alignment_settings, psat_settings
from .reconstruction import Reconstruction
from .views import plain_looks

SIDES = ("image", "text")


class SliceAlignment(nn.Module):
    r"""PSAT's answers against image and text features, with an optional reconstruction.

    .. math:: L = L_{align}(v, m) + L_{align}(v, t) + \lambda L_{rec}

    (arXiv 2403.05141: InfoNCE, no reconstruction; arXiv 2509.09064: partial optimal transport and reconstruction.)
    Departs from the papers in: K slices of a volume may be asked at once, and the masked reconstruction runs on a
    pass of its own, since answers of a masked volume localise worse.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn; tells the widths of the features.
    """

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        images, _ = pool.features()
        self.config = config
        self.pairs_per_volume = config.slices_per_volume or 1
        self.model = AlignedEncoder(encoder, pool.crop_size, images.shape[1], psat_settings(config))
        settings = alignment_settings(config)
        self.losses = nn.ModuleDict({side: build_alignment_loss(images.shape[1], settings) for side in self.sides})
        self.reconstruction = Reconstruction(config, encoder) if config.reconstruction != "none" else None

    @property
    def encoder(self) -> nn.Module:
        """The 3D encoder."""
        return self.model.encoder

    @property
    def sides(self) -> tuple[str, ...]:
        """The features that are matched: image, text or both."""
        match = "image" if self.config.no_text else self.config.match
        return SIDES if match == "both" else (match,)

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws crops, K slices of each, and what PSAT should answer: the 2D features of those slices."""
        config, rng = self.config, step_generator(self.config.seed, step, "batch")
        images, texts = pool.features()
        planes, positions = [], []
        crops = pool.draw_crops(rng, config.recipe.batch_volumes)
        rows = pool.draw_slices(rng, crops, self.pairs_per_volume)
        volumes, shifts = plain_looks(rng, config, pool, crops)
        for crop, chosen, shift in zip(crops, rows, shifts, strict=True):
            refs = [pool.slices[row] for row in chosen]
            planes.append([int(ref.plane) for ref in refs])
            positions.append([ref.relative_position - float(shift[ref.plane.axis]) / crop.size for ref in refs])
        inputs = {
            "volumes": volumes,
            "planes": torch.tensor(planes),
            "positions": torch.tensor(positions, dtype=torch.float32),
            "image": images[torch.tensor(rows)],
            "text": texts[torch.tensor(rows)],
        }
        if config.reconstruction == "masked":
            inputs["masks"] = draw_masks(rng, config, inputs["volumes"].shape)
        return inputs

    def represent(self, inputs: Inputs) -> Represented:
        """Encodes volumes and asks them; with the reconstruction's error of each where there is one."""
        volumes = inputs["volumes"]
        encoded = self.model.encoder(volumes)
        centres = token_positions(encoded.grid, volumes.device)
        answers = self.model.psat(encoded.tokens, centres, inputs["planes"], inputs["positions"])
        represented = dict(zip(SIDES, answers, strict=True))
        if self.reconstruction is not None:
            represented["reconstruction"] = self.reconstruction(self.encoder, encoded, volumes, inputs.get("masks"))
        return {name: value for name, value in represented.items() if name in (*self.sides, "reconstruction")}

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """Sums the sides' alignment losses and the weighted reconstruction."""
        parts: dict[str, Tensor] = {}
        floor = 0.0
        for side in self.sides:
            answers, targets = represented[side].flatten(0, 1), inputs[side].flatten(0, 1)
            parts[side] = self.losses[side](answers, targets)
            floor += cast(float, self.losses[side].floor(len(answers)))  # type: ignore[operator]
        total = torch.stack(list(parts.values())).sum()
        if "reconstruction" in represented:
            parts["reconstruction"] = represented["reconstruction"].mean()
            total = total + self.config.reconstruction_weight * parts["reconstruction"]
        return Terms(total, parts, floor)

    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns the share of pairs that find each other, and the effective rank of the answers."""
        found: dict[str, float] = {}
        for side in self.sides:
            answers, targets = represented[side].flatten(0, 1).cpu(), inputs[side].flatten(0, 1).cpu()
            found[f"{side}_accuracy"] = matching_accuracy(answers, targets)
        found["spread"] = embedding_spread(represented[self.sides[0]].flatten(0, 1).cpu())
        return found

    def after_step(self, step: int) -> None:
        """Nothing moves but by the optimiser."""
