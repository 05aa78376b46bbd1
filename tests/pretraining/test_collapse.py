"""An embedding that has become one vector is told, whatever the method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from learned_workspace import pretrain_config, what_is_read

from med3dinsight.encoders.conv_tiny import ConvTiny
from med3dinsight.encoders.encoder import EncoderOutput
from med3dinsight.pretraining import loop
from med3dinsight.pretraining.collapse import listening, tell_spread
from med3dinsight.pretraining.methods import METHODS
from med3dinsight.pretraining.run import run
from med3dinsight.pretraining.slice_alignment import SliceAlignment
from med3dinsight.training.run_log import read_log
from med3dinsight.workspace import Workspace

SMALL = {"psat_width": 32, "psat_layers": 1, "num_queries": 4, "projection_width": 16, "mask_block": 4}


def config(**changes: Any) -> Any:
    return pretrain_config(**{"held_out": ("cleo",), "batch_volumes": 4, **what_is_read(SMALL, changes), **changes})


def rows(work: Workspace, name: str) -> list[dict[str, Any]]:
    return read_log(work.pretraining / name / "log.jsonl")


def ramp(like: torch.Tensor) -> torch.Tensor:
    """As many different numbers."""
    return torch.linspace(0, 1, like.numel()).view_as(like)


class Blind(ConvTiny):
    """Says the same of all volumes, if it is blind; what it says differs from place to place."""

    def __init__(self, blind: bool) -> None:
        super().__init__(widths=(8, 16, 24), depths=(0, 0, 0))
        self.blind = blind

    def forward(self, volume: torch.Tensor) -> EncoderOutput:
        encoded = super().forward(volume)
        if not self.blind:
            return encoded
        tokens, *maps = (value * 0 + ramp(value[:1]) for value in (encoded.tokens, *encoded.pyramid))
        return replace(encoded, tokens=tokens, pyramid=tuple(maps))


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.build is not None])
def test_every_method_tells_that_its_encoder_has_collapsed_and_only_then(work: Workspace, method: str) -> None:
    for blind in (False, True):
        settings = config(method=method, encoder="mine", run=f"{method}-{blind}", steps=1, warmup_steps=0)
        torch.manual_seed(0)
        assert run(settings, work, encoder=Blind(blind)).collapsed is blind
        row = rows(work, settings.run)[-1]
        assert row["collapsed"] is blind
        assert (row["encoder_spread"] < 1.01) is blind


def test_answers_that_have_collapsed_are_told_in_the_log_the_progress_and_the_result(
    work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    represent = SliceAlignment.represent

    def all_alike(self: SliceAlignment, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: value * 0 + value.mean((0, 1)) for name, value in represent(self, inputs).items()}

    notes: list[str] = []
    assert not run(config(run="sound", steps=3), work).collapsed
    monkeypatch.setattr(SliceAlignment, "represent", all_alike)
    result = run(config(steps=3), work, progress=lambda done, total, note="": notes.append(note))
    assert result.collapsed
    assert rows(work, "insight")[-1]["collapsed"]
    assert "COLLAPSED" in notes[-1]


def test_nothing_is_said_of_a_collapse_before_the_warm_up_is_over(
    work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    notes: list[str] = []
    settings = config(method="simmim", encoder="mine", run="warm", steps=4, warmup_steps=2)
    run(settings, work, encoder=Blind(True), progress=lambda done, total, note="": notes.append(note))
    assert [row.get("collapsed") for row in rows(work, "warm")] == [None, None, True, True]
    assert ["COLLAPSED" in note for note in notes] == [False, False, True, True]
    short = config(method="simmim", encoder="mine", run="short", steps=2, warmup_steps=2)
    assert not run(short, work, encoder=Blind(True)).collapsed


def test_chunks_are_heard_once_and_the_ear_is_taken_away() -> None:
    encoder = Blind(False)
    with listening(encoder) as heard:
        for part in torch.rand(5, 1, 16, 16, 16).split(2):
            with torch.no_grad():
                encoder(part)
            encoder(part)
    assert [len(part) for part in heard] == [2, 2, 1]
    assert not any(part.requires_grad for part in heard)
    encoder(torch.rand(1, 1, 16, 16, 16))
    assert len(heard) == 3


def test_either_embedding_may_collapse() -> None:
    apart, alike = torch.eye(8), torch.ones(8, 8)
    for tokens, spread, collapsed in ((apart, 8.0, False), (alike, 8.0, True), (apart, 1.0, True)):
        told = tell_spread([tokens[:4], tokens[4:]], {"views": apart}, {"spread": spread}, warm=True)
        assert told["collapsed"] is collapsed
    assert tell_spread([apart], {"error": torch.ones(8)}, {"explained": 0.1}, warm=True)["collapsed"] is False
