"""What requests cost: a price table that the user owns. Money is in whole nano-dollars (1 USD = 10⁹), rounded up."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import ConfigError, suggest
from ...workspace.answer_ledger import NANO

_MILLION = 1_000_000
# Roles, separators and what a server wraps a message into.
_TOKENS_A_MESSAGE = 32


class Price(BaseModel):
    """The price of one model.

    Attributes:
        input_usd: Dollars for a million tokens of prompt and picture.
        output_usd: Dollars for a million tokens of answer, reasoning included.
        picture_tokens: The most tokens that a picture of the size that is sent costs.

    Example:
        >>> Price(input_usd=0.15, output_usd=0.6, picture_tokens=1000).cost(1000, 100)
        210000
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_usd: float = Field(ge=0, allow_inf_nan=False, le=1e6)
    output_usd: float = Field(ge=0, allow_inf_nan=False, le=1e6)
    picture_tokens: int = Field(ge=0, le=10**9)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Returns the price of a request in nano-dollars, rounded up."""
        return _price(self.input_usd, prompt_tokens) + _price(self.output_usd, completion_tokens)

    def most(self, body: Mapping[str, Any]) -> int:
        """Returns the most that a chat-completions body can cost, in nano-dollars.

        A token is at least one byte of text, so bytes are counted; a picture counts as ``picture_tokens``.

        Raises:
            ConfigError: The body sets no limit of the answer's tokens, or asks for several answers.
        """
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        if not isinstance(most, int) or body.get("n", 1) != 1:
            raise ConfigError("a request without a limit of tokens has no highest price", "set caption.max_tokens")
        return self.cost(_prompt_tokens(body, self.picture_tokens), most)


def _price(usd: float, tokens: int) -> int:
    # Through nano-dollars a million tokens, so that 0.15 USD is exactly 150 nano-dollars a token.
    return -(-round(usd * NANO) * tokens // _MILLION)


def _prompt_tokens(body: Mapping[str, Any], picture_tokens: int) -> int:
    tokens = 0
    for message in body["messages"]:
        tokens += _TOKENS_A_MESSAGE
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            tokens += len(part["text"].encode()) if part["type"] == "text" else picture_tokens
    for extra in ("response_format", "tools"):
        if extra in body:
            tokens += len(json.dumps(body[extra]).encode())
    return tokens


def load_prices(path: Path) -> dict[str, Price]:
    """Reads a price table: TOML with a table for every model.

    ::

        ["gpt-4o-mini"]
        input_usd = 0.15        # for a million tokens
        output_usd = 0.60
        picture_tokens = 8500   # the most that one picture costs

    Raises:
        ConfigError: The file cannot be read, or is no such table.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: Price.model_validate(table) for name, table in tables.items()}
    except OSError as error:
        raise ConfigError(f"cannot read the prices {path}: {error.strerror}", "give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", 'it has a table for every model: ["NAME"]') from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{path}: {where + ': ' if where else ''}{first['msg']}",
            "a model has input_usd, output_usd (for a million tokens) and picture_tokens",
        ) from None


def find_price(model: str, prices: Mapping[str, Price], *, budget: float | None) -> Price | None:
    """Returns the price of a model; None where it is not known and nothing depends on it.

    Raises:
        ConfigError: There is a budget and no price to count with.
    """
    if model in prices:
        return prices[model]
    if budget is None:
        return None
    hint = (
        f"{suggest(model, prices)}; add it to the table" if prices else "write it into a file, and set caption.prices"
    )
    raise ConfigError(f"a budget of {budget:g} USD needs the price of {model}", hint)


@dataclass(frozen=True)
class Forecast:
    """What a run will cost at most, told before it starts.

    Attributes:
        requests: How many will be sent, without those that are asked again.
        usd: Dollars at most for them; None where no price is known.
    """

    requests: int
    usd: float | None


def forecast(requests: int, body: Mapping[str, Any], price: Price | None) -> Forecast:
    """Returns what so many requests like one cost at most.

    Example:
        >>> body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
        >>> forecast(1000, body, Price(input_usd=1, output_usd=1, picture_tokens=0)).usd
        0.134
    """
    return Forecast(requests, None if price is None else requests * price.most(body) / NANO)
