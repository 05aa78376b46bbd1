"""Texts that exist already come in by CSV or Parquet, and go out by Parquet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from med3dinsight.captions.config import CaptionConfig
from med3dinsight.captions.importing import read_texts
from med3dinsight.captions.run import run
from med3dinsight.errors import ConfigError, InputError
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.voxel_store import VoxelStore

Prepared = Callable[..., Workspace]
PLANES = 4


@pytest.fixture
def cubes(prepared: Prepared) -> Workspace:
    """Two cubes of 16 voxels."""
    voxels: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 255, (16, 16, 16), dtype=np.uint8)
    return prepared({"a": voxels, "b": voxels[::-1].copy()}, protocol="cube128")


def config(file: Path | None, **changes: object) -> CaptionConfig:
    return CaptionConfig(captioner="imported", existing=file, positions_per_plane=PLANES, **changes)  # type: ignore[arg-type]


def texts_of(workspace: Workspace, name: str) -> dict[str, str]:
    with CaptionStore(workspace.captions) as ledger:
        return ledger.texts(name)


def test_rows_find_their_slices_and_slices_without_a_row_have_no_text(cubes: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    table.write_text(
        "case,plane,index,caption\na,axial,2,the liver\na,Sagittal,6,the spine\nb,axial,2,\n"
        "b,axial,3,of no slice\nz,axial,2,of nobody\n"
    )
    result = run(config(table), cubes)
    assert (result.captioned, result.without_text, result.left) == (2, 2 * 3 * PLANES - 2, 0)
    assert texts_of(cubes, "imported") == {"a:0,0,0,16:0:2": "the liver", "a:0,0,0,16:2:6": "the spine"}
    assert run(config(table), cubes).done_before


def test_what_is_wrong_with_a_text_of_others_is_flagged_and_it_is_kept(cubes: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    long = "liver " * 180_000
    rows = ["a,axial,2,<b>liver</b>", "a,axial,6,a coronal MRI", f"a,axial,10,{long}", "a,axial,14,the liver"]
    table.write_text("\n".join(["case,plane,index,text", *rows]) + "\n")
    assert run(config(table), cubes).flagged == 3
    with CaptionStore(cubes.captions) as ledger:
        flags = {ref.index: noticed for ref, text, noticed in ledger.written("imported") if text}
    assert flags == {2: ("markup",), 6: ("wrong-modality", "wrong-plane"), 10: ("long",), 14: ()}


def test_a_file_that_is_no_table_costs_nobody_their_texts(cubes: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("case,plane,index,text\na,axial,2,the liver\n")
    run(config(table), cubes)
    before = texts_of(cubes, "imported")
    for content in ("a,b\n1,2\n", "case,plane,index,text\nz,axial,2,of nobody\n"):
        table.write_text(content)
        with pytest.raises(InputError):
            run(config(table), cubes)
        assert texts_of(cubes, "imported") == before


def test_a_changed_file_is_imported_anew(cubes: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    for text in ("before", "after"):
        table.write_text(f"case,plane,index,text\na,axial,2,{text}\n")
        assert not run(config(table), cubes).done_before
        assert list(texts_of(cubes, "imported").values()) == [text]


def test_what_is_published_can_be_imported(cubes: Workspace) -> None:
    run(CaptionConfig(captioner="template", positions_per_plane=PLANES), cubes)
    result = run(config(cubes.captions / "template" / "captions.parquet", name="again"), cubes)
    assert result.captioned == 2 * 3 * PLANES
    assert texts_of(cubes, "again") == texts_of(cubes, "template")


def test_the_published_table_has_every_slice_in_order_and_a_card(cubes: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("case,plane,index,text\nb,coronal,2,a <b>kidney</b>\n")
    run(config(table), cubes)
    rows = parquet.read_table(cubes.captions / "imported" / "captions.parquet").to_pylist()
    with CaptionStore(cubes.captions) as ledger:
        assert [row["key"] for row in rows] == [ref.key for ref in ledger.slices()]
    [written] = [row for row in rows if row["text"]]
    assert (written["case"], written["plane"], written["index"], written["size"]) == ("b", "coronal", 2, 16)
    assert written["text"] == "a <b>kidney</b>"
    card = (cubes.captions / "imported" / "README.md").read_text()
    assert "1 text of 24 slices of 2 volumes" in card
    assert "no-text: 23" in card


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("case,plane,index\na,axial,2\n", "no column called text"),
        ("case,index,text\na,2,x\n", "'plane'"),
        ("case,plane,index,text\na,oblique,2,x\n", "'OBLIQUE'"),
        ("case,plane,index,text\na,axial,two,x\n", "two"),
        ("case,plane,index,text\nz,axial,2,x\n", r"none of the texts of .* \(1 in all\)"),
        ("", r"none of the texts of .* \(0 in all\)"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(cubes: Workspace, tmp_path: Path, content: str, what: str) -> None:
    table = tmp_path / "texts.csv"
    table.write_text(content)
    with pytest.raises(InputError, match=what):
        run(config(table), cubes)


def test_files_that_are_none_say_so(cubes: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file to import"):
        run(config(None), cubes)
    for name, content in (("gone.csv", None), ("a.json", b"{}"), ("a.parquet", b"PAR1"), ("a.csv", b"\xff\xfe\x00")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError):
            run(config(tmp_path / name), cubes)


def test_crops_are_named_by_origin_and_size(prepared: Prepared, tmp_path: Path) -> None:
    workspace = prepared({"a": np.zeros((20, 30, 40), dtype=np.uint8)})
    table = tmp_path / "texts.tsv"
    table.write_text("case\tplane\tindex\tx\ty\tz\tsize\ttext\na\taxial\t3\t-2\t0\t5\t24\tfat\n")
    assert list(read_texts(table, VoxelStore(workspace.prepared))) == [("a:-2,0,5,24:0:3", "fat")]
    table.write_text("case\tplane\tindex\ttext\na\taxial\t3\tfat\n")
    with pytest.raises(InputError, match="not a cube"):
        list(read_texts(table, VoxelStore(workspace.prepared)))
