from __future__ import annotations

import pytest
import torch

from med3dinsight.pretraining.text_block import TextInformedBlock, TextQueries


@pytest.fixture
def block() -> TextInformedBlock:
    torch.manual_seed(0)
    return TextInformedBlock(96, 8)


def sample() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    tokens, texts = torch.randn(2, 5, 96, generator=generator), torch.randn(2, 3, 8, generator=generator)
    return tokens, texts, torch.tensor([[True, True, False], [True, True, True]]), torch.tensor([True, False])


def test_at_the_start_texts_change_nothing_and_the_gate_can_open(block: TextInformedBlock) -> None:
    tokens, *rest = sample()
    informed = block(tokens, *rest)
    assert torch.equal(informed, tokens)
    (informed**2).sum().backward()
    assert block.gate.grad is not None
    assert block.gate.grad.abs() > 0


def test_with_an_open_gate_only_informed_rows_change_and_only_real_words_count(block: TextInformedBlock) -> None:
    tokens, texts, real, informed = sample()
    block.gate.data.fill_(1.0)
    before = block(tokens, texts, real, informed)
    assert not torch.allclose(before[0], tokens[0], atol=1e-3)
    assert torch.equal(before[1], tokens[1])
    texts = texts.clone()
    texts[0, 2] += 100
    assert torch.allclose(block(tokens, texts, real, informed), before)
    texts[0, 1] += 100 * torch.arange(8)
    assert not torch.allclose(block(tokens, texts, real, informed)[0], before[0], atol=1e-3)


@pytest.mark.parametrize(("width", "heads"), [(96, 2), (128, 2), (320, 5), (768, 12), (20, 1)])
def test_heads_divide_every_width(width: int, heads: int) -> None:
    assert TextInformedBlock(width, 8).heads == heads


def test_a_query_gets_the_tokens_that_it_attends_to() -> None:
    torch.manual_seed(0)
    ask = TextQueries(16, 4)
    tokens = torch.randn(2, 6, 16)
    with torch.no_grad():
        ask.key.weight.zero_()
    local = ask(tokens, torch.randn(2, 3, 4))
    plain = torch.nn.functional.layer_norm(tokens, (16,)).mean(1, keepdim=True)
    assert torch.allclose(local, plain.expand(-1, 3, -1), atol=1e-6)
