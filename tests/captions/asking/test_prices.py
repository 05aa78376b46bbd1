from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.captions.asking.budget import Budget
from med3dinsight.captions.asking.chat import ChatReply
from med3dinsight.captions.asking.prices import Price, find_price, forecast, load_prices
from med3dinsight.errors import ConfigError

PRICE = Price(input_usd=0.15, output_usd=0.60, picture_tokens=1000)
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}
BODY = {
    "messages": [{"role": "user", "content": [{"type": "text", "text": "größer"}, PICTURE]}],
    "max_tokens": 300,
}


def reply(prompt: int | None, completion: int | None) -> ChatReply:
    return ChatReply("{}", prompt, completion, "m", "stop")


def test_a_body_costs_at_most_its_bytes_its_picture_and_its_longest_answer() -> None:
    assert PRICE.most(BODY) == (32 + 8 + 1000) * 150 + 300 * 600
    assert PRICE.most({**BODY, "response_format": {"a": 1}}) == PRICE.most(BODY) + 8 * 150
    assert forecast(1_000_000, BODY, PRICE).usd == pytest.approx(336)
    assert forecast(5, BODY, None).usd is None


@pytest.mark.parametrize("body", [{**BODY, "max_tokens": None}, {**BODY, "n": 2}])
def test_a_body_without_a_highest_price_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"caption\.max_tokens"):
        PRICE.most(body)


def test_a_price_is_only_needed_by_a_budget() -> None:
    assert find_price("m", {"m": PRICE}, budget=1) == PRICE
    assert find_price("m", {}, budget=None) is None
    with pytest.raises(ConfigError, match=r"budget of 2\.5 USD needs the price of gpt-4o \(did you mean gpt-4o-mini"):
        find_price("gpt-4o", {"gpt-4o-mini": PRICE}, budget=2.5)


def test_a_price_table_is_read_and_what_is_wrong_with_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('["org/m.1"]\ninput_usd = 0.15\noutput_usd = 0.6\npicture_tokens = 1000\n')
    assert load_prices(path) == {"org/m.1": PRICE}
    for text, told in [("[m]\ninput_usd = 1\n", "output_usd"), ("m = 1", "dictionary"), ("[", "TOML")]:
        path.write_text(text)
        with pytest.raises(ConfigError, match=told):
            load_prices(path)
    path.write_text("[m]\ninput_usd = nan\noutput_usd = -1\npicture_tokens = 1")
    with pytest.raises(ConfigError, match="input_usd"):
        load_prices(path)
    with pytest.raises(ConfigError, match="cannot read"):
        load_prices(tmp_path / "none.toml")


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), max_size=60), st.integers(0, 20_000))
def test_a_budget_is_never_passed_by_what_was_reserved(requests: list[tuple[int, int]], cap: int) -> None:
    budget = Budget(cap / 1e9, PRICE, spent=0)
    paid = 0
    for reserved, cost in requests:
        if budget.take(reserved):
            budget.settle(reserved, min(cost, reserved))
            paid += min(cost, reserved)
        assert budget.spent == paid <= cap


def test_what_was_spent_before_counts_and_unknown_tokens_count_in_full() -> None:
    budget = Budget(1e-6, PRICE, spent=900)
    assert not budget.take(101)
    assert budget.take(100)
    assert budget.cost(reply(None, 3), 100) == 100
    assert budget.cost(reply(2, 1), 100) == 900
    with pytest.raises(ValueError, match="price"):
        Budget(1.0, None, spent=0)
    free = Budget(None, None, spent=0)
    assert free.most(BODY) == free.cost(reply(5, 5), 0) == 0


def test_a_server_that_counts_more_than_there_can_be_makes_later_reservations_larger() -> None:
    budget = Budget(1.0, PRICE, spent=0)
    first = budget.most(BODY)
    budget.take(first)
    budget.settle(first, 3 * first)
    assert budget.most(BODY) >= 3 * first
