from __future__ import annotations

from pathlib import Path

import pytest
import torch

from med3dinsight.errors import Med3DInsightError
from med3dinsight.training.divergence import refuse_divergence

ONE = torch.tensor(1.0)


@pytest.mark.parametrize(("loss", "norm", "what"), [("nan", 1, "loss became nan"), (1, "inf", "gradient became inf")])
def test_a_loss_or_gradient_that_is_no_number_stops_the_run(loss: object, norm: object, what: str) -> None:
    with pytest.raises(Med3DInsightError, match=f"{what} after 7 steps") as caught:
        refuse_divergence(torch.tensor(float(str(loss))), torch.tensor(float(str(norm))), 7, Path("run"))
    assert "checkpoint is in run" in caught.value.hint


def test_any_number_may_go_on() -> None:
    refuse_divergence(ONE * 1e30, ONE * 1e30, 7, Path("run"))
