"""One layer of PSAT's decoder."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from .cross_attention import CrossAttention
from .settings import PSATSettings

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


class DecoderLayer(nn.Module):
    """Self-attention among the queries, cross-attention to the tokens, MLP, each added to what it read (DETR).

    With ``position_at="every_layer"`` the position is added to what attention compares, the queries and keys of the
    self-attention and the queries of the cross-attention, and not to what goes on (DETR, Carion et al. 2020, A.3).
    Departs from DETR in the tokens, which have the position in keys and values: one vector for all keys would be
    lost in the softmax.

    Args:
        settings: The PSAT's choices.
    """

    def __init__(self, settings: PSATSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.norm_first = settings.norm == "pre"
        self.in_every_layer = settings.position_at == "every_layer"
        self.self_attention = nn.MultiheadAttention(width, settings.num_heads, dropout=dropout, batch_first=True)
        self.cross_attention = CrossAttention(settings)
        hidden = nn.Sequential(ACTIVATIONS[settings.activation](), nn.Dropout(dropout))
        self.mlp = nn.Sequential(nn.Linear(width, settings.ffn_width), hidden, nn.Linear(settings.ffn_width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.drop = nn.Dropout(dropout)

    def forward(
        self,
        queries: Float[Tensor, "b k q c"],
        tokens: Float[Tensor, "b n c"],
        position: Float[Tensor, "b k c"] | None,
        distances: Float[Tensor, "b k n"],
    ) -> Float[Tensor, "b k q c"]:
        """Returns updated queries of the same shape; see :meth:`CrossAttention.forward`."""
        added = position.unsqueeze(2) if position is not None and self.in_every_layer else None

        def mix(x: Tensor) -> Tensor:
            values = x.flatten(0, 1)
            # The very same tensor where nothing is added: torch then projects all three at once.
            compared = values if added is None else (x + added).flatten(0, 1)
            mixed, _ = self.self_attention(compared, compared, values, need_weights=False)
            return mixed.reshape(x.shape)

        def look(x: Tensor) -> Tensor:
            return self.cross_attention(x if added is None else x + added, tokens, position, distances)

        branches: tuple[Callable[[Tensor], Tensor], ...] = (mix, look, self.mlp)
        for norm, branch in zip(self.norms, branches, strict=True):
            if self.norm_first:
                queries = queries + self.drop(branch(norm(queries)))
            else:
                queries = norm(queries + self.drop(branch(queries)))
        return queries
