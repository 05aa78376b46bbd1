"""``med3dinsight slices``, and the commands of docs/how-to/look-at-slices.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from learned_workspace import make_scan
from PIL import Image

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.slices.config import SlicesConfig
from med3dinsight.volumes.nifti import write_nifti

from .conftest import Call

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "look-at-slices.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder ``scans`` that the text speaks of, beside the tests' own files; it is the working folder."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("anna", "bert")):
        hu, label = make_scan(seed, (72, 70, 68))
        folder = Path("scans") / name
        write_nifti(folder / "image.nii.gz", hu, np.diag([2.0, 2.0, 2.0, 1.0]))
        write_nifti(folder / "label.nii.gz", label, np.diag([2.0, 2.0, 2.0, 1.0]))


@pytest.mark.usefixtures("scans")
def test_the_commands_of_the_text_do_what_it_says(call: Call) -> None:
    first, second = blocks("bash")
    prepare, middle, some, chosen = first.strip().splitlines()
    for line in (prepare, middle):
        answer = call(*shlex.split(line)[1:])
        assert answer.code == 0, answer.err
    names = {path.name for path in Path("pictures").iterdir()}
    assert names == {
        f"{case}_{plane}_{index}.png"
        for case in ("anna-image", "bert-image")
        for plane, index in (("axial", 34), ("coronal", 35), ("sagittal", 36))
    }
    answer = call(*shlex.split(some)[1:])
    assert answer.out.splitlines()[0] == "wrote 7 slices into pictures"
    answer = call(*shlex.split(chosen)[1:])
    assert answer.json["written"] == len(list(Path("chosen").iterdir())) == 48 - answer.json["unfilled"]
    assert answer.json["folder"] == "chosen"
    assert {item["plane"] for item in answer.json["slices"]} == {"axial", "coronal", "sagittal"}
    (code,) = blocks("python")
    exec(code, {})
    with Image.open("coronal.png") as picture:
        assert min(picture.size) > 512
    small = ["--set", "caption.crop_size=40", "--set", "caption.crops_per_volume=2"]
    answer = call(*shlex.split(second.strip())[1:], *small, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["captioned"] == 2 * 2 * 32 - answer.json["unfilled"] > 0


@pytest.mark.usefixtures("scans")
def test_mistakes_end_with_2_and_say_what_there_is(call: Call) -> None:
    settings = ("prepare.protocol=native", "prepare.spacing_mm=4", "prepare.modality=ct")
    assert (
        call("prepare", "work", "--source", "scans", *(word for text in settings for word in ("--set", text))).code == 0
    )
    for words, error, hint in (
        (["--case", "ana-image"], "no prepared case called ana-image", "did you mean anna-image?"),
        (["--plane", "axil"], "no plane called axil", "did you mean axial?"),
        (["--plane", "axial", "--index", "99"], "anna-image has no axial slice 99", "counted from 0 to 33"),
        (["--window", "40"], "a window is two numbers", "LOW,HIGH"),
        (["--window", "2000,3000"], "lies outside of -1000,1000", "prepare again"),
        (["--count", "3"], "sampling and count go together", "count"),
        (["--set", "slices.label=true"], "unknown setting slices.label", "did you mean labels?"),
    ):
        answer = call("slices", "work", "out", *words)
        assert answer.code == 2
        assert error in answer.err
        assert hint in answer.err
    Path("look.toml").write_text("[slices]\nmarks = false\n[prepare]\nspacing_mm = 4\n")
    answer = call(
        "slices", "work", "out", "--config", "look.toml", "--set", "slices.labels=true", "--set", "slices.scale=2"
    )
    assert answer.code == 0, answer.err
    with Image.open(Path("out") / "anna-image_axial_17.png") as picture:
        assert picture.size == (72, 70)


def test_settings_that_the_text_names_exist() -> None:
    assert set(re.findall(r"`?caption\.(\w+)", TEXT)) <= set(CaptionConfig.model_fields)
    assert set(re.findall(r"slices\.(scale|labels\b|\w+)=", TEXT)) <= set(SlicesConfig.model_fields)
