from __future__ import annotations

import torch

from med3dinsight.training.seeding import seed_weights, step_generator


def test_a_draw_depends_on_seed_step_and_use_and_on_nothing_else() -> None:
    def draw(seed: int, step: int, stream: str) -> float:
        return float(step_generator(seed, step, stream).random())

    first = draw(3, 5, "crops")
    step_generator(3, 5, "crops").random(100)
    assert draw(3, 5, "crops") == first
    others = {draw(4, 5, "crops"), draw(3, 6, "crops"), draw(3, 5, "batch"), draw(5, 3, "crops")}
    assert len(others | {first}) == 5


def test_the_same_seed_gives_the_same_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        seed_weights(seed)
        return torch.nn.Linear(4, 4).weight.detach()

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
