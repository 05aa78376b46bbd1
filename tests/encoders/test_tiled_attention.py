from __future__ import annotations

import pytest
import torch
from torch import Tensor

from med3dinsight.encoders import tiled_attention
from med3dinsight.encoders.tiled_attention import BoxGroup, _attend_fused, attend

GROUPS = [BoxGroup(3, 8), BoxGroup(1, 5), BoxGroup(4, 1)]


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Two heads of width 3; the second group reaches into the padding."""
    torch.manual_seed(0)
    rows = sum(group.boxes * group.size for group in GROUPS)
    biases = [torch.randn(2, 8, 8), torch.randn(2, 5, 6), torch.randn(2, 1, 1)]
    tensors = [torch.randn(rows, 3, 2, 3), torch.randn(2, 2, 3), *biases]
    packed, padding, *biases = (tensor.to(dtype).requires_grad_() for tensor in tensors)
    return packed, padding, biases


def by_hand(packed: Tensor, padding: Tensor, biases: list[Tensor]) -> Tensor:
    """Softmax attention box by box and head by head."""
    out, row = torch.empty_like(packed[:, 0]), 0
    for group, bias in zip(GROUPS, biases, strict=True):
        for _ in range(group.boxes):
            box = packed[row : row + group.size]
            for head in range(2):
                q, k, v = box[:, 0, head], box[:, 1, head], box[:, 2, head]
                if bias.shape[2] > group.size:
                    k, v = torch.cat([k, padding[0, head : head + 1]]), torch.cat([v, padding[1, head : head + 1]])
                weights = torch.softmax(q @ k.t() / 3**0.5 + bias[head], 1)
                out[row : row + group.size, head] = weights @ v
            row += group.size
    return out


@pytest.mark.parametrize("tile", [1, 150, 400_000])
def test_each_box_attends_to_itself_and_its_padding(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled_attention, "TILE_SCORES", tile)
    packed, padding, biases = inputs()
    expected = by_hand(packed.detach(), padding.detach(), [bias.detach() for bias in biases])
    torch.testing.assert_close(attend(packed, padding, GROUPS, biases), expected)
    torch.testing.assert_close(_attend_fused(packed, padding, GROUPS, biases), expected)


@pytest.mark.parametrize("tile", [1, 150, 400_000])
def test_gradients_are_those_of_finite_differences(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled_attention, "TILE_SCORES", tile)
    packed, padding, biases = inputs()
    assert torch.autograd.gradcheck(lambda p, pad, *b: attend(p, pad, GROUPS, b), (packed, padding, *biases))


def test_scores_far_from_zero_neither_overflow_nor_vanish() -> None:
    packed, padding, biases = inputs(torch.float32)
    for offset in (-500.0, 500.0):
        far = [bias + offset for bias in biases]
        out = attend(packed * 8, padding * 8, GROUPS, far)
        torch.testing.assert_close(out, by_hand(packed.detach() * 8, padding.detach() * 8, far), rtol=1e-3, atol=1e-3)
        gradient, *_ = torch.autograd.grad(out.square().sum(), [packed, *biases])
        assert gradient.isfinite().all()


def test_a_graph_for_export_uses_the_fused_attention_with_the_same_result() -> None:
    class Attend(torch.nn.Module):
        def forward(self, packed: Tensor, padding: Tensor, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
            return attend(packed, padding, GROUPS, [first, second, third])

    packed, padding, biases = (tensor for tensor in inputs(torch.float32))
    arguments = tuple(tensor.detach() for tensor in (packed, padding, *biases))
    exported = torch.export.export(Attend(), arguments, strict=False)
    calls = [str(node.target) for node in exported.graph.nodes if node.op == "call_function"]
    assert sum("scaled_dot_product_attention" in call for call in calls) == len(GROUPS)
    torch.testing.assert_close(exported.module()(*arguments), attend(packed, padding, GROUPS, biases))


def test_bf16_is_computed_in_fp32_and_given_back_in_bf16() -> None:
    packed, padding, biases = inputs(torch.float32)
    half = packed.detach().bfloat16()
    out = attend(half, padding, GROUPS, biases)
    assert out.dtype == torch.bfloat16
    exact = by_hand(half.float(), padding.detach(), [bias.detach() for bias in biases])
    torch.testing.assert_close(out, exact.bfloat16(), rtol=1e-2, atol=1e-2)
