"""What the memo spares: pictures and texts that were shown to the towers before, under whatever name."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from learned_workspace import Toy, ToyTowers, text_of
from numpy.typing import NDArray

from med3dinsight.errors import WorkspaceError
from med3dinsight.records import Crop, SliceRef
from med3dinsight.slices.pixels import slice_pixels
from med3dinsight.types import Plane
from med3dinsight.workspace import feature_store
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.feature_memo import MEMO
from med3dinsight.workspace.provenance import StageRecord, fingerprint, write_record
from med3dinsight.workspace.voxel_store import VoxelStore


@pytest.fixture
def embedded(toy: Toy) -> list[SliceRef]:
    """Two people, captioned and embedded."""
    for subject in ("anna", "bert"):
        toy.add(subject)
    toy.prepare()
    slices = toy.caption()
    toy.embed()
    return slices


def set_slices(toy: Toy, slices: list[SliceRef]) -> None:
    """Makes another slice table, captioned."""
    toy.caption()
    with CaptionStore(toy.workspace.captions) as ledger:
        ledger.replace_slices(slices)
        ledger.add("tissue", [(ref.key, text_of(ref)) for ref in slices])
    made_from = {"prepared": toy.workspace.require(toy.workspace.prepared, "prepare").fingerprint}
    record = StageRecord("caption", fingerprint([ref.key for ref in slices]), {}, {}, 0.0, inputs=made_from)
    write_record(toy.workspace.captions / "tissue", record)


def pictures_of(toy: Toy) -> set[bytes]:
    """The distinct pictures of the slice table."""
    store = VoxelStore(toy.workspace.prepared)
    with CaptionStore(toy.workspace.captions) as ledger:
        return {slice_pixels(store.volume(ref.crop.case), ref).tobytes() for ref in ledger.slices()}


def embed_anew(toy: Toy) -> None:
    """Embeds as if the towers' files were of another table."""
    shutil.rmtree(toy.workspace.features / "toy")
    toy.embed()


def test_the_same_features_under_another_table_ask_no_tower(toy: Toy, embedded: list[SliceRef]) -> None:
    images = np.array(feature_store.read(toy.workspace.features / "toy/image.npy"))
    asked = toy.towers.pictures
    set_slices(toy, embedded[::-1])
    embed_anew(toy)
    assert toy.towers.pictures == asked
    assert np.array_equal(feature_store.read(toy.workspace.features / "toy/image.npy"), images[::-1])


def test_of_a_longer_table_only_what_is_new_is_computed_and_read(
    toy: Toy, embedded: list[SliceRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, asked = toy.towers.pictures, len(toy.towers.texts)
    new = [SliceRef(ref.crop, ref.plane, ref.index + 1) for ref in embedded[:5]]
    set_slices(toy, [*new, *embedded])
    read: list[SliceRef] = []

    def watched(volume: NDArray[np.uint8], ref: SliceRef) -> NDArray[np.uint8]:
        read.append(ref)
        return slice_pixels(volume, ref)

    monkeypatch.setattr("med3dinsight.targets.pictures.slice_pixels", watched)
    toy.embed()
    assert read == new
    assert toy.towers.pictures - pictures == len(new)
    assert set(toy.towers.texts[asked:]) == {text_of(ref) for ref in new}


def test_volumes_that_are_prepared_under_another_name_are_known(toy: Toy, embedded: list[SliceRef]) -> None:
    asked = toy.towers.pictures
    shutil.move(toy.scans / "bert", toy.scans / "zoe")
    toy.prepare()
    renamed = {"anna-image": "anna-image", "bert-image": "zoe-image"}
    set_slices(
        toy,
        [SliceRef(replace(ref.crop, case=renamed[ref.crop.case]), ref.plane, ref.index) for ref in embedded],
    )
    toy.embed()
    assert toy.towers.pictures == asked


def test_slices_in_the_padding_share_one_feature(toy: Toy) -> None:
    """Crops that stick out of the volume on every side show the same nothing there, of whomever."""
    for subject in ("anna", "bert"):
        toy.add(subject)
    toy.prepare()
    outside = [
        SliceRef(Crop(f"{name}-image", (-100, 0, 0), 16), plane, index)
        for name in ("anna", "bert")
        for plane in Plane
        for index in range(4)
    ]
    inside = toy.caption()
    set_slices(toy, [*outside[:8], *inside, *outside[8:]])
    toy.embed()
    assert toy.towers.pictures == len(pictures_of(toy)) <= len(inside) + 1
    images = feature_store.read(toy.workspace.features / "toy/image.npy")
    nothing = ToyTowers().embed_images([np.zeros((16, 16), dtype=np.uint8)])[0].astype(np.float16)
    assert (np.concatenate([images[:8], images[-16:]]) == nothing).all()


def test_other_towers_share_nothing(toy: Toy, embedded: list[SliceRef]) -> None:
    pictures, texts = toy.towers.pictures, len(toy.towers.texts)
    toy.towers.identity = "toy with other weights"  # type: ignore[misc]
    embed_anew(toy)
    assert toy.towers.pictures == 2 * pictures
    assert len(toy.towers.texts) == 2 * texts


def test_pictures_that_were_embedded_before_a_kill_are_kept_for_another_table(
    toy: Toy, embedded: list[SliceRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = [SliceRef(ref.crop, ref.plane, ref.index + 1) for ref in embedded]
    table = [*new, *embedded]
    assert len(new) < feature_store.CHUNK_ROWS < len(table)
    set_slices(toy, table)
    pictures = toy.towers.pictures

    def broken(items: Sequence[str]) -> NDArray[np.float32]:
        raise RuntimeError("no texts today")

    with monkeypatch.context() as patch:
        patch.setattr(toy.towers, "embed_texts", broken)
        with pytest.raises(RuntimeError, match="no texts today"):
            toy.embed()
    computed = toy.towers.pictures
    assert computed > pictures
    set_slices(toy, table[::-1])
    embed_anew(toy)
    assert toy.towers.pictures == computed


def test_a_memo_of_a_newer_version_and_a_damaged_one_are_refused(toy: Toy, embedded: list[SliceRef]) -> None:
    path = toy.workspace.features / MEMO
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(WorkspaceError, match="has format 99; this version reads up to 1"):
        embed_anew(toy)
    for leftover in path.parent.glob(f"{MEMO}*"):
        leftover.unlink()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(WorkspaceError, match="is damaged") as caught:
        toy.embed()
    assert "remove it" in str(caught.value.hint)
