"""The loss of one step of Med3DInsight as arXiv 2403.05141 describes it, written out plainly: an oracle, not fast.

One slice a volume; volumes, heads and directions one by one; no part of the package is used. What the paper leaves open
(heads, order of the norms, the mean over queries, one projection, no dropout) is as in the preset ``paper``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.07


def papers_loss(
    tokens: Tensor, psat: Mapping[str, Tensor], heads: int, planes: Tensor, slices: Tensor, image: Tensor, text: Tensor
) -> Tensor:
    """InfoNCE with the image features plus InfoNCE with the text features.

    Args:
        tokens: Of the volumes, ``(b, n, c)``.
        psat: Its parameters by name.
        heads: Attention heads.
        planes: ``(b,)``, 0 axial, 1 coronal, 2 sagittal.
        slices: ``(b,)``, numbers of the slices, as many as the table has entries.
        image: ``(b, e)``.
        text: ``(b, e)``.
    """
    answers = [
        answer(volume, psat, heads, psat["position.table"][plane, number])
        for volume, plane, number in zip(tokens, planes.tolist(), slices.tolist(), strict=True)
    ]
    return contrast(answers, list(image)) + contrast(answers, list(text))


def answer(tokens: Tensor, psat: Mapping[str, Tensor], heads: int, position: Tensor) -> Tensor:
    """What one volume says of one slice, ``(e,)``."""
    memory = linear(tokens, psat, "input") + position
    queries = psat["queries"] + position
    own = "layers.0.self_attention"
    triple = zip(psat[f"{own}.in_proj_weight"].chunk(3), psat[f"{own}.in_proj_bias"].chunk(3), strict=True)
    q, k, v = (queries @ weight.T + bias for weight, bias in triple)
    queries = norm(queries + linear(attend(q, k, v, heads), psat, f"{own}.out_proj"), psat, 0)
    other = "layers.0.cross_attention"
    q, k, v = (linear(of, psat, f"{other}.{n}") for of, n in ((queries, "query"), (memory, "key"), (memory, "value")))
    queries = norm(queries + linear(attend(q, k, v, heads), psat, f"{other}.out"), psat, 1)
    hidden = linear(queries, psat, "layers.0.mlp.0").clamp(min=0)
    queries = norm(queries + linear(hidden, psat, "layers.0.mlp.2"), psat, 2)
    return linear(queries.mean(0), psat, "to_both")


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attention, head by head."""
    found = []
    for one, other, value in zip(*(side.chunk(heads, -1) for side in (q, k, v)), strict=True):
        weights = torch.exp(one @ other.T / one.shape[-1] ** 0.5)
        found.append(weights / weights.sum(1, keepdim=True) @ value)
    return torch.cat(found, -1)


def linear(x: Tensor, psat: Mapping[str, Tensor], name: str) -> Tensor:
    """A linear layer by name."""
    return x @ psat[f"{name}.weight"].T + psat[f"{name}.bias"]


def norm(x: Tensor, psat: Mapping[str, Tensor], number: int) -> Tensor:
    """A layer norm by number."""
    name = f"layers.0.norms.{number}"
    return F.layer_norm(x, x.shape[-1:], psat[f"{name}.weight"], psat[f"{name}.bias"])


def contrast(answers: list[Tensor], targets: list[Tensor]) -> Tensor:
    """Symmetric InfoNCE, pair by pair."""
    scores = torch.stack([torch.stack([F.cosine_similarity(a, t, 0) / TEMPERATURE for t in targets]) for a in answers])
    terms = [2 * scores[i, i] - scores[i].logsumexp(0) - scores[:, i].logsumexp(0) for i in range(len(answers))]
    return -torch.stack(terms).mean() / 2
