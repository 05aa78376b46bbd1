"""Whom weights have seen is told by the file of weights itself."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.seen import Seen, UnknownPeopleWarning, facts_of, seen_in, warn_where_unknown
from med3dinsight.encoders.weights import load_weights, weights_bytes

FACTS = {"encoder": "conv_tiny", "subjects": ["anna"], "voxel_sha256": ["ab"], "seen": "known"}


def test_a_file_tells_its_facts_wherever_it_lies_and_loads_as_before(tmp_path: Path) -> None:
    encoder = create_encoder("conv_tiny")
    path = tmp_path / "renamed.safetensors"
    path.write_bytes(weights_bytes(encoder, FACTS))
    assert facts_of(path) == FACTS
    assert seen_in(facts_of(path)) == Seen(frozenset({"anna"}), frozenset({"ab"}))
    assert load_weights(create_encoder("conv_tiny"), path) == len(encoder.state_dict())
    assert path.read_bytes() == weights_bytes(encoder, dict(reversed(FACTS.items())))


def test_what_a_file_tells_of_itself_goes_before_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "encoder.json").write_text(json.dumps({**FACTS, "subjects": ["bert"]}))
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(torch.nn.Linear(2, 2)))
    assert seen_in(facts_of(path)).subjects == {"bert"}
    path.write_bytes(weights_bytes(torch.nn.Linear(2, 2), FACTS))
    assert seen_in(facts_of(path)).subjects == {"anna"}


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"med3dinsight": "{"}, {"med3dinsight": "[1]"}])
def test_files_of_others_tell_nothing(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "theirs.safetensors"
    save_file({"weight": torch.ones(2)}, path, metadata)
    # A file of ours that lies in the same folder is not about them.
    (tmp_path / "encoder.json").write_text(json.dumps(FACTS))
    assert facts_of(path) is None
    assert not seen_in(facts_of(path)).known


def test_a_damaged_file_a_checkpoint_and_a_name_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "encoder.json").write_text(json.dumps(FACTS))
    (tmp_path / "damaged.safetensors").write_bytes(b"\x08")
    torch.save({"weight": torch.ones(2)}, tmp_path / "theirs.pth")
    for name in ("damaged.safetensors", "theirs.pth", "i3resnet152", "none.safetensors"):
        assert facts_of(Path(name)) is None


@pytest.mark.parametrize(
    ("facts", "known"), [(FACTS, True), ({**FACTS, "seen": "unknown"}, False), ({"encoder": "conv_tiny"}, False)]
)
def test_who_is_named_may_not_be_all(facts: dict[str, object], known: bool) -> None:
    seen = seen_in(facts)
    assert seen.known == known
    assert seen_in(seen.as_json()) == seen
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_where_unknown(seen, "w.pth")
    assert [row.category for row in caught] == ([] if known else [UnknownPeopleWarning])


def test_reading_them_brings_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights_bytes(torch.nn.Linear(2, 2), FACTS))
    code = (
        "import sys; from pathlib import Path; from med3dinsight.encoders.seen import facts_of\n"
        "print(facts_of(Path(sys.argv[1]))['subjects'], 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "['anna'] False"
