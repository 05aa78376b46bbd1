from __future__ import annotations

import pytest
import torch

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.nnformer import NNFormerEncoder
from med3dinsight.encoders.window_attention import relative_position_index


def test_windows_heads_and_drop_path_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        encoder = create_encoder("nnformer")
    blocks = [block for stage in encoder.stages for block in stage.blocks]
    assert [block.attn.window[0] for block in blocks] == [4, 4, 4, 4, 8, 8, 4, 4]
    assert [block.attn.num_heads for block in blocks] == [3, 3, 6, 6, 12, 12, 24, 24]
    assert [block.shifted for block in blocks] == [False, True] * 4
    assert [block.drop_path.rate for block in blocks] == pytest.approx([0.2 * n / 7 for n in range(8)])


def test_any_size_is_taken() -> None:
    encoder = create_encoder("nnformer_tiny").eval()
    encoded = encoder(torch.rand(1, 1, 33, 20, 47))
    assert encoded.grid == (3, 2, 3)
    assert [tuple(each.shape[2:]) for each in encoded.pyramid] == [(17, 10, 24), (9, 5, 12), (5, 3, 6), (3, 2, 3)]


@pytest.mark.parametrize("form", ["correct", "reference"])
def test_the_index_is_the_one_that_was_asked_for(form: str) -> None:
    encoder = NNFormerEncoder(1, 8, num_heads=(1, 1, 1, 1), windows=(4, 4, 8, 4), relative_index=form)
    for stage, edge in zip(encoder.stages, (4, 4, 8, 4), strict=True):
        for block in stage.blocks:
            assert torch.equal(block.attn.relative_position_index, relative_position_index((edge,) * 3, form))


def test_training_leaves_branches_out_and_evaluation_does_not() -> None:
    torch.manual_seed(0)
    encoder = NNFormerEncoder(1, 8, num_heads=(1, 1, 1, 1), windows=(4, 4, 4, 4), patch_size=2, drop_path=0.9)
    volume = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        assert not torch.equal(encoder(volume).tokens, encoder(volume).tokens)
        encoder.eval()
        assert torch.equal(encoder(volume).tokens, encoder(volume).tokens)


def test_parameters_that_tokens_do_not_read_are_named() -> None:
    encoder = create_encoder("nnformer_tiny")
    tokens = encoder(torch.rand(1, 1, 32, 32, 32)).tokens
    (tokens * torch.randn_like(tokens)).sum().backward()
    without = {name for name, value in encoder.named_parameters() if value.grad is None}
    assert without == {name for name, _ in encoder.named_parameters() if name.startswith(encoder.unread_by_tokens)}
    assert len(without) == 6
