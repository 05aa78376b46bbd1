"""docs/how-to/bring-your-own-captions.md: its commands and its captioner."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from learned_workspace import make_scan

from med3dinsight.slices.rendering import SliceRenderer
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.voxel_store import VoxelStore

from .conftest import Call

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "bring-your-own-captions.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return [part.strip() for part in re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)]


@pytest.fixture(autouse=True)
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder ``scans`` of the text; the working folder holds it."""
    monkeypatch.chdir(tmp_path)
    Path("scans/anna").mkdir(parents=True)
    hu, _ = make_scan(0, (40, 38, 30))
    nib.save(nib.Nifti1Image(hu.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), "scans/anna/ct.nii.gz")
    Path("captions.csv").write_text(blocks("csv")[0])


def test_a_sample_comes_first_and_a_table_of_texts_finds_its_slices(call: Call) -> None:
    first, importing, *_ = blocks("bash")
    preparing, sampling = first.splitlines()
    assert call(*shlex.split(preparing)[1:]).code == 0
    sampled = call(*shlex.split(sampling)[1:])
    assert sampled.code == 0
    assert (sampled.json["captioned"], sampled.json["left"]) == (20, 48 - 20)
    answer = call(*shlex.split(importing)[1:], "--json")
    assert answer.code == 0
    assert (answer.json["captioned"], answer.json["without_text"]) == (2, 3 * 128 - 2)
    with CaptionStore(Path("work/captions")) as ledger:
        texts = ledger.texts("ours")
    assert {key.split(":", 1)[1] for key in texts} == {"0,0,0,128:0:60", "0,0,0,128:1:60"}
    assert "the liver" in texts["anna-ct:0,0,0,128:0:60"]
    wrong = call("caption", "work", "--captioner", "tissue", "--import", "captions.csv", "--json")
    assert wrong.code == 2 and "imported" in wrong.json["error"]

    scope: dict[str, type] = {}
    exec(blocks("python")[0], scope)
    with CaptionStore(Path("work/captions")) as ledger:
        view = SliceRenderer(VoxelStore(Path("work/prepared"))).view(ledger.slices()[0])
    assert re.fullmatch(r"A axial slice of mean brightness \d+ of 255\.", scope["Brightness"]().describe(view))


def test_reports_and_label_maps_become_texts_and_texts_are_checked(call: Call) -> None:
    first, importing, reports, anatomy, auditing = (shlex.split(block.splitlines()[0])[1:] for block in blocks("bash"))
    Path("reports.csv").write_text(blocks("csv")[1])
    Path("scans/bert").mkdir()
    for person, seed in (("anna", 0), ("bert", 1)):
        for name, voxels in zip(("ct", "label"), make_scan(seed, (40, 38, 30)), strict=True):
            file = f"scans/{person}/{name}.nii.gz"
            nib.save(nib.Nifti1Image(voxels.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), file)
        Path(f"scans/{person}/label.json").write_text('{"1": "ball", "2": "gap"}')
    assert call(*first, "--json").json["prepared"] == 2
    answer = call(*reports, "--json")
    assert (answer.code, answer.json["captioned"], answer.json["without_text"]) == (0, 48, 48)
    with CaptionStore(Path("work/captions")) as ledger:
        said = set(ledger.texts("report").values())
    assert said == {"The liver is enlarged.", "No effusion. IMPRESSION: hepatomegaly."}
    answer = call(*anatomy, "--json")
    assert (answer.code, answer.json["captioned"], answer.json["without_text"]) == (0, 48, 48)
    assert call(*importing).code == 0
    assert call(*importing[:2], "--captioner", "template", *importing[-2:]).code == 0
    answer = call(*auditing, "--json")
    assert answer.code == 0
    assert (answer.json["texts"], answer.json["plane"]) == (2, 1.0)
    for name in ("index.html", "audit.json"):
        assert Path("work/audit/ours", name).exists()
