"""``dino``: self-distillation without labels. A student says of one view what a slow teacher says of another."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from ...losses.self_distillation import self_distillation
from ...readouts.online import embedding_spread, matching_accuracy
from ...training.seeding import step_generator
from ..config import PretrainConfig
from ..objective import Inputs, Represented, Terms
from ..pool import Pool
from ..projection import batch_norm, pooled
from ..sizes import check_halves
from ..teacher import Teacher
from ..views import change_look, draw_view, stack_views

#: Prototypes among which views are assigned, and the width of the hidden layers over that of the output.
PROTOTYPES, HIDDEN = 1024, 4
#: The teacher's temperature rises from the first to the second over this share of the steps.
TEACHER_TEMPERATURE, WARM_UP = (0.04, 0.07), 0.3
#: Decay of the centre.
CENTRE_DECAY = 0.9


class Dino(nn.Module):
    """DINO (Caron et al. 2021, arXiv 2104.14294), see :func:`self_distillation`.

    A head of three layers with GELU and batch norm (an option of the authors' head), an L2-normalised output of
    ``pretrain.projection_width`` and unit prototypes; a teacher whose momentum rises to 1 and whose temperature is
    warmed up, centred by the running mean of its scores. ``pretrain.temperature`` is the student's. With
    ``pretrain.local_views`` the student also sees that many views of half the edge (multi-crop).

    Departs from the paper in: 1024 prototypes instead of 65536, for fewer scans than photographs; hidden layers of 4
    times the output's width; local views are cut from the first global one at its scale, not zoomed; the teacher's
    warm-up takes 30 % of the steps; prototypes train from the first step; views as in :mod:`..views`; the mean of the
    tokens instead of a class token. Without the batch norm small batches ended with a teacher that says nothing: on toy
    scans its entropy was that of all 1024 prototypes after 40 steps, at every rate and momentum that was tried.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn; tells the size of the crops.

    Raises:
        ConfigError: Local views are asked for, and the encoder does not take half the crops' edge.
    """

    centre: Tensor

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.pairs_per_volume = 2 + config.local_views
        self.inner_edge = check_halves(encoder, pool.crop_size, "dino", config.encoder) if config.local_views else 0
        self.head = Head(cast(int, encoder.embed_dim), config.projection_width)
        momentum = cast(float, config.teacher_momentum)
        self.teacher = Teacher(encoder, momentum, config.steps)
        self.teacher_head = Teacher(self.head, momentum, config.steps)
        self.register_buffer("centre", torch.zeros(PROTOTYPES))
        self._seen: Tensor | None = None

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws two views of each crop, and local ones where they are asked for."""
        config, rng = self.config, step_generator(self.config.seed, step, "batch")
        crops = pool.draw_crops(rng, config.recipe.batch_volumes)
        views = [[draw_view(rng, config, pool, crop) for _ in range(2)] for crop in crops]
        inputs = {"views": stack_views(views)}
        if self.inner_edge:
            inner = [[_inner(rng, row[0], self.inner_edge) for _ in range(config.local_views)] for row in views]
            inputs["local"] = stack_views(inner)
        return inputs

    def represent(self, inputs: Inputs) -> Represented:
        """Returns mean tokens: ``student`` ``(b, 2 + local views, c)``, ``teacher`` ``(b, 2, c)``."""
        views = inputs["views"].flatten(0, 1)
        student = [pooled(self.encoder(views).tokens).unflatten(0, (-1, 2))]
        if self.inner_edge:
            local = inputs["local"]
            tokens = self.encoder(local.flatten(0, 1)).tokens
            student.append(pooled(tokens).unflatten(0, (len(local), -1)))
        with torch.no_grad():
            teacher = pooled(self.teacher.module(views).tokens)
        return {"student": torch.cat(student, 1), "teacher": teacher.unflatten(0, (-1, 2))}

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """The distillation; the centre moves when the step is done."""
        says = self._teacher_scores(represented)
        self._seen = says.mean((0, 1))
        scores = self.head(represented["student"])
        temperature = cast(float, self.config.temperature)
        return Terms(self_distillation(scores, says, self.centre, temperature, self.teacher_temperature))

    @property
    def teacher_temperature(self) -> float:
        """The teacher's temperature at the present step."""
        low, high = TEACHER_TEMPERATURE
        done = float(self.teacher.steps) / max(WARM_UP * self.config.steps, 1)
        return low + (high - low) * min(done, 1.0)

    @torch.no_grad()
    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns the share of first views that find their second one, the entropy of the teacher, and the rank.

        An entropy (in nats) near 0 for the mean over the batch, or near log 1024 for each view, is a collapse that
        centring and sharpening should prevent.
        """
        says = F.softmax((self._teacher_scores(represented) - self.centre) / self.teacher_temperature, dim=-1)
        each, mean = (float(_entropy(part).mean()) for part in (says, says.mean((0, 1))))
        first, second = represented["student"][:, :2].cpu().unbind(1)
        spread = embedding_spread(represented["student"][:, :2].flatten(0, 1).cpu())
        entropies = {"teacher_entropy": each, "teacher_entropy_of_mean": mean}
        return {"accuracy": matching_accuracy(first, second), **entropies, "spread": spread}

    @torch.no_grad()
    def _teacher_scores(self, represented: Represented) -> Float[Tensor, "b 2 k"]:
        scores: Tensor = self.teacher_head.module(represented["teacher"])
        return scores

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Moves teacher and centre."""
        self.teacher.follow(self.encoder, step)
        self.teacher_head.follow(self.head, step)
        if self._seen is not None:
            self.centre.lerp_(self._seen, 1 - CENTRE_DECAY)
            self._seen = None


class Head(nn.Module):
    """Three layers with batch norm and GELU, normalised, against unit prototypes.

    Args:
        width: Of the tokens.
        out: Of the normalised output.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for wide in (width, HIDDEN * out):
            layers += [nn.Linear(wide, HIDDEN * out), batch_norm(HIDDEN * out), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(HIDDEN * out, out))
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.prototypes = nn.Linear(out, PROTOTYPES, bias=False)

    def forward(self, pooled_tokens: Float[Tensor, "*b c"]) -> Float[Tensor, "*b k"]:
        """Returns the cosine with each prototype."""
        placed = F.normalize(self.layers(pooled_tokens.flatten(0, -2)), dim=-1)
        scores = F.linear(placed, F.normalize(self.prototypes.weight, dim=-1))
        return scores.unflatten(0, pooled_tokens.shape[:-1])


def _inner(rng: np.random.Generator, view: NDArray[np.float32], half: int) -> NDArray[np.float32]:
    x, y, z = rng.integers(0, view.shape[0] - half + 1, 3)
    return change_look(rng, view[x : x + half, y : y + half, z : z + half])


def _entropy(shares: Float[Tensor, "*b k"]) -> Float[Tensor, "*b"]:
    return -(shares * shares.clamp(min=1e-12).log()).sum(-1)
