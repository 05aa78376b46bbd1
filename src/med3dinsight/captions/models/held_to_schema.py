"""Holds a local model's answer to a JSON schema while it is written, token by token, as servers do.

The answer then always ends in time, too: strings that the schema leaves open get a longest length, for models are
known to repeat themselves until the tokens run out, which leaves half an object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import FatalError

if TYPE_CHECKING:
    import torch
    from llguidance import LLMatcher, LLTokenizer

#: Longest strings in characters where the schema sets no limit: the last one of an object, such as a caption, holds 80
#: words, the others one sentence.
LONGEST_LAST, LONGEST_OTHER = 560, 160
#: The same for lists and what is in them.
LONGEST_ITEM, MOST_ITEMS = 48, 12


def bounded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a schema whose strings and lists all end.

    Example:
        >>> bounded({"type": "array", "items": {"type": "string"}})
        {'type': 'array', 'items': {'type': 'string', 'maxLength': 48}, 'maxItems': 12}
    """
    return _bounded(schema, LONGEST_LAST)


def _bounded(schema: Mapping[str, Any], longest: int) -> dict[str, Any]:
    limited = dict(schema)
    if limited.get("type") == "string" and "enum" not in limited:
        limited.setdefault("maxLength", longest)
    if limited.get("type") == "array":
        limited["items"] = _bounded(limited.get("items", {}), LONGEST_ITEM)
        limited.setdefault("maxItems", MOST_ITEMS)
    if "properties" in limited:
        inside = limited["properties"]
        last = next(reversed(inside), None)
        limited["properties"] = {
            name: _bounded(inner, LONGEST_LAST if name == last else LONGEST_OTHER) for name, inner in inside.items()
        }
    return limited


def tokens_of(tokenizer: Any, vocabulary: int) -> LLTokenizer:
    """Returns a tokenizer's tokens as the grammar needs them; takes about a second for a large one.

    Args:
        tokenizer: A fast tokenizer of transformers.
        vocabulary: Number of logits of the model, which may be more than the tokenizer has tokens.

    Raises:
        FatalError: It is no fast tokenizer.
    """
    import llguidance.hf

    try:
        return llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
    except ValueError as error:
        raise FatalError(f"the model's tokenizer cannot be held to a schema: {error}", "use another model") from None


class HeldToSchema:
    """A logits processor for ``generate`` of one sequence: rules out every token that breaks the schema.

    Args:
        tokens: Of :func:`tokens_of`.
        schema: JSON schema of the answer.
        prompt_length: Tokens that come before the answer.

    Raises:
        FatalError: The schema cannot be enforced.
    """

    def __init__(self, tokens: LLTokenizer, schema: Mapping[str, Any], prompt_length: int) -> None:
        import llguidance

        compact: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(bounded(schema)), defaults=compact)
        self._matcher: LLMatcher = llguidance.LLMatcher(tokens, grammar, log_level=0)
        self._read = prompt_length
        self._check()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Returns the scores with minus infinity for every token that cannot come next.

        Args:
            input_ids: ``(1, tokens)`` the prompt and the answer so far.
            scores: ``(1, vocabulary)``.
        """
        import torch

        for token in input_ids[0, self._read :].tolist():
            self._matcher.consume_token(token)
        self._read = input_ids.shape[1]
        allowed = np.frombuffer(self._matcher.compute_logit_bias(), dtype=np.uint8) > 0
        self._check()
        mask = torch.zeros(scores.shape[-1], dtype=torch.bool)
        mask[: len(allowed)] = torch.from_numpy(allowed[: scores.shape[-1]])
        return scores.masked_fill(~mask.to(scores.device), float("-inf"))

    def _check(self) -> None:
        if self._matcher.is_error():
            raise FatalError(f"the answer cannot be held to the schema: {self._matcher.get_error()}", "report it")
