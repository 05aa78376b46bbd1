"""The table of what was loaded."""

from __future__ import annotations

import torch
from checkpoints import behind, small

from med3dinsight.encoders.load_report import LoadReport
from med3dinsight.encoders.loading import load_pretrained


def test_the_table_has_a_row_for_every_tensor_and_aligned_shapes(file) -> None:
    state = {**behind("module.", small().state_dict()), "module.head.weight": torch.rand(2, 96)}
    report = load_pretrained(small(), file(state))
    lines = report.table()
    assert lines[0].split() == ["encoder", "shape", "file", "shape", "in", "file"]
    end = lines[0].index("shape") + len("shape")
    shapes = [line[:end].rsplit("  ", 1)[1] for line in lines[1:6]]
    assert shapes[0] == "1 x 8 x 96"
    assert any(line.startswith("renamed  ... and ") for line in lines)
    assert lines[-1].split() == [
        "skipped",
        "-",
        "-",
        "module.head.weight",
        "2",
        "x",
        "96",
        "not",
        "of",
        "this",
        "encoder",
    ]
    counted = report.as_json()
    assert len(counted["renamed"]) + len(counted["skipped"]) == len(state)
    assert counted["skipped"][0] == {
        "name": None,
        "file_name": "module.head.weight",
        "shape": None,
        "file_shape": (2, 96),
        "note": "not of this encoder",
    }


def test_an_empty_report_is_still_a_table() -> None:
    report = LoadReport("x", (), 0.0)
    assert report.table() == ["  encoder  shape  file  shape in file"]
    assert "0.0 %" in report.summary()
