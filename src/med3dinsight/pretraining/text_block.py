"""Attention from a volume's tokens to the words about it, and from words to the volume."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

#: Widest head of attention.
HEAD = 64


class TextInformedBlock(nn.Module):
    r"""Lets tokens look at texts: :math:`F' = F + g\,\mathrm{CrossAttention}(F, W, W)`, with a gate g from 0.

    At the start texts change nothing, so that what is learned about them is learned because it helps. Our reading of
    T3D (arXiv 2312.01529), whose layers are not public; the gate is that of Flamingo (Alayrac et al. 2022) without
    its tanh.

    Args:
        width: Of the tokens.
        text_width: Of the text features.
    """

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.heads = next(heads for heads in range(-(-width // HEAD), 0, -1) if width % heads == 0)
        self.norm, self.text_norm = nn.LayerNorm(width), nn.LayerNorm(text_width)
        self.query = nn.Linear(width, width)
        self.key, self.value = nn.Linear(text_width, width), nn.Linear(text_width, width)
        self.out = nn.Linear(width, width)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(
        self,
        tokens: Float[Tensor, "b n c"],
        texts: Float[Tensor, "b l f"],
        real: Bool[Tensor, "b l"],
        informed: Bool[Tensor, " b"],
    ) -> Float[Tensor, "b n c"]:
        """Returns tokens that have looked at the texts.

        Args:
            tokens: F, of the volumes.
            texts: W; every row has a real one.
            real: Which text tokens are real.
            informed: Rows that see their texts; the others come out as they went in.
        """
        words = self.text_norm(texts)
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(self.norm(tokens)), self.key(words), self.value(words))
        )
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=real[:, None, None, :])
        change = self.out(seen.transpose(1, 2).flatten(2))
        return tokens + self.gate * change * informed[:, None, None]


class TextQueries(nn.Module):
    """Asks the token map of a volume by texts: each gets the mean of the tokens that it attends to.

    What is averaged are the encoder's own tokens, normalised and not projected, so that no value layer can make all
    answers alike.

    Args:
        width: Of the tokens.
        text_width: Of the text features.
    """

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.query, self.key = nn.Linear(text_width, width), nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "b n c"], texts: Float[Tensor, "b k f"]) -> Float[Tensor, "b k c"]:
        """Returns one local feature a text."""
        values = self.norm(tokens)
        return F.scaled_dot_product_attention(self.query(texts), self.key(values), values)
