"""docs/how-to/choose-towers.md: its commands, with tiny models in the folders that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from learned_workspace import make_scan
from tiny_towers import save_clip

from med3dinsight.towers import TOWERS
from med3dinsight.workspace import Workspace

from .conftest import Call

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "choose-towers.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)[1:] for part in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in part.splitlines()
]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of models."""
    monkeypatch.chdir(tmp_path)
    save_clip(Path("models/clip"))
    save_clip(Path("models/other"), seed=1)


@pytest.fixture
def captioned(call: Call, models: None) -> None:
    """A workspace ``work`` of two people with texts."""
    for seed, person in enumerate(("anna", "ben")):
        Path("scans", person).mkdir(parents=True)
        hu, _ = make_scan(seed, (40, 38, 30))
        scan = nib.Nifti1Image(hu.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0]))
        nib.save(scan, f"scans/{person}/ct.nii.gz")
    assert call("prepare", "work", "--source", "scans", "--protocol", "cube128", "--json").code == 0
    assert call("caption", "work", "--captioner", "tissue", "--json").code == 0


def test_the_commands_embed_tune_and_pretrain(call: Call, captioned: None) -> None:
    embedding, another, tuning, pretraining = COMMANDS
    plain = call(*embedding, "--json")
    assert (plain.code, plain.json["towers"], plain.json["retrieval_people"]) == (0, "clip", "held out")
    assert call(*another, "--json").code == 0
    tuned = call(*tuning, "--set", "embed.tuning_steps=2", "--json")
    assert (tuned.code, tuned.json["tuned"]) == (0, "full")
    assert 0 <= tuned.json["text_to_image_after"] <= 1
    assert {path.name for path in Path("work/features").iterdir() if path.is_dir()} >= {
        "clip",
        "other",
        "clip-tuned-tissue",
    }
    assert Path("work/features/clip-tuned-tissue/tissue/tuned/model.safetensors").exists()
    small = (
        "slices_per_volume=4",
        "num_queries=4",
        "psat_width=32",
        "batch_volumes=2",
        "warmup_steps=0",
    )
    options = [word for setting in small for word in ("--set", f"pretrain.{setting}")]
    trained = call(*pretraining, "--encoder", "conv_tiny", "--steps", "1", *options, "--json")
    assert trained.code == 0


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ((), "need a model"),
        (("--model", "nowhere"), "no such folder: nowhere"),
        (("--model", "models/clip", "--name", "../up"), "name"),
    ],
)
def test_a_wrong_model_ends_with_exit_code_2_and_a_hint(
    call: Call, models: None, extra: tuple[str, ...], words: str
) -> None:
    Workspace(Path("work"), create=True)
    answer = call("embed", "work", "--towers", "clip", *extra, "--json")
    assert answer.code == 2
    assert words in answer.json["error"]


def test_the_page_names_all_towers() -> None:
    assert set(re.findall(r"`([\w-]+)`", "".join(line for line in TEXT.splitlines() if line.startswith("| `")))) >= set(
        TOWERS
    )
