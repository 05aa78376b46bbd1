from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from med3dinsight.errors import DiskFullError, WorkspaceError
from med3dinsight.records import Crop, SliceRef
from med3dinsight.types import Plane
from med3dinsight.workspace.caption_store import LEDGER, LEDGER_VERSION, CaptionStore, Written

SLICES = [
    SliceRef(Crop(case, (-3, 0, 12), 64), plane, index)
    for case in ("b", "a")
    for plane in (Plane.SAGITTAL, Plane.AXIAL)
    for index in (5, 1)
]


def test_slices_keep_their_order_and_every_field(tmp_path: Path) -> None:
    with CaptionStore(tmp_path, create=True) as store:
        store.replace_slices(SLICES)
    with CaptionStore(tmp_path) as store:
        assert store.slices() == SLICES


def test_texts_go_by_captioner_and_the_last_one_counts(tmp_path: Path) -> None:
    with CaptionStore(tmp_path, create=True) as store:
        store.add("tissue", [("k1", "lung"), ("k2", "bone ü")])
        store.add("template", [("k1", "axial CT")])
        store.add("tissue", [("k1", "air")])
        assert store.texts("tissue") == {"k1": "air", "k2": "bone ü"}
        assert store.texts("template") == {"k1": "axial CT"}
        assert store.texts("nobody") == {}
        assert store.captioners() == ["template", "tissue"]


def test_captions_outlive_a_new_slice_table(tmp_path: Path) -> None:
    with CaptionStore(tmp_path, create=True) as store:
        store.replace_slices(SLICES)
        store.add("tissue", [(SLICES[0].key, "text")])
        store.replace_slices(SLICES[:2])
        assert store.slices() == SLICES[:2]
        assert store.texts("tissue") == {SLICES[0].key: "text"}


def test_a_slice_table_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    with CaptionStore(tmp_path, create=True) as store:
        store.replace_slices(SLICES)
        with pytest.raises(sqlite3.IntegrityError):
            store.replace_slices([SLICES[0], SLICES[0]])
        assert store.slices() == SLICES


def test_no_ledger_names_the_verb_to_run(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="med3dinsight caption"):
        CaptionStore(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_ledger_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"no database at all" * 100)
    with pytest.raises(WorkspaceError, match=r"is damaged.*caption again"):
        CaptionStore(tmp_path)


def test_a_ledger_in_use_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CaptionStore(tmp_path, create=True).close()
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(path, timeout=0))
    other = connect(tmp_path / LEDGER)
    other.execute("BEGIN EXCLUSIVE")
    with CaptionStore(tmp_path) as store, pytest.raises(WorkspaceError, match="another process is writing"):
        store.add("tissue", [("k", "text")])
    other.close()


def test_a_full_disk_keeps_the_texts_before_it(tmp_path: Path) -> None:
    with CaptionStore(tmp_path, create=True) as store:
        store.add("tissue", [("first", "text")])
        # SQLite's own ceiling on the file's pages gives the error that a full disk gives.
        store._database.execute("PRAGMA max_page_count = 8")
        with pytest.raises(DiskFullError, match="free some space"):
            store.add("tissue", [(f"k{number}", "x" * 100) for number in range(2000)])
        assert store.texts("tissue") == {"first": "text"}


ENDLESS = """
import sys
from pathlib import Path
from med3dinsight.workspace.caption_store import CaptionStore
with CaptionStore(Path(sys.argv[1]), create=True) as store:
    for chunk in range(100000):
        store.add("tissue", [(f"{chunk}:{number}", "text") for number in range(16)])
        print(chunk, flush=True)
"""


def test_after_kill_9_all_reported_texts_are_there_and_no_chunk_is_half(
    tmp_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    process = child(ENDLESS, tmp_path)
    assert process.stdout is not None
    chunks = [int(process.stdout.readline()) for _ in range(20)]
    process.send_signal(signal.SIGKILL)
    chunks += map(int, process.stdout.read().split())
    process.wait()
    with CaptionStore(tmp_path) as store:
        texts = store.texts("tissue")
        assert {f"{chunk}:{number}" for chunk in chunks for number in range(16)} <= set(texts)
        assert len(texts) % 16 == 0
        store.add("tissue", [("next", "goes on")])


def test_slices_without_a_text_are_dealt_with_and_have_none(tmp_path: Path) -> None:
    keys = [ref.key for ref in SLICES]
    with CaptionStore(tmp_path, create=True) as store:
        store.replace_slices(SLICES)
        store.add(
            "m", [Written(keys[0], "lung"), Written(keys[1], "", ("quarantined",)), Written(keys[2], "x", ("a", "b"))]
        )
        assert store.texts("m") == {keys[0]: "lung", keys[2]: "x"}
        assert store.flagged("m") == {keys[1]: ("quarantined",), keys[2]: ("a", "b")}
        assert (store.num_written("m"), store.num_written("m", only_flag="quarantined")) == (3, 1)
        assert list(store.missing("m", page=2)) == SLICES[3:]
        assert list(store.written("m")) == [
            (SLICES[0], "lung", ()),
            (SLICES[1], "", ("quarantined",)),
            (SLICES[2], "x", ("a", "b")),
        ]


def test_texts_may_be_added_while_the_missing_slices_are_read(tmp_path: Path) -> None:
    with CaptionStore(tmp_path, create=True) as store:
        store.replace_slices(SLICES)
        seen = []
        for ref in store.missing("m", page=3):
            seen.append(ref)
            store.add("m", [(ref.key, "text")])
        assert seen == SLICES
        assert not list(store.missing("m"))


@pytest.mark.parametrize("other", [SLICES[:-1], [*SLICES, SLICES[0]], SLICES[::-1], []])
def test_a_slice_table_is_told_from_another(tmp_path: Path, other: list[SliceRef]) -> None:
    with CaptionStore(tmp_path, create=True) as store:
        store.replace_slices(SLICES)
        assert store.has_slices(iter(SLICES))
        assert not store.has_slices(iter(other))


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with CaptionStore(tmp_path, create=True):
        pass
    database = sqlite3.connect(tmp_path / LEDGER)
    database.execute(f"PRAGMA user_version = {LEDGER_VERSION + 1}")
    database.close()
    with pytest.raises(WorkspaceError, match="reads up to"):
        CaptionStore(tmp_path)


def test_a_ledger_from_before_there_were_flags_is_read_and_kept(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / LEDGER)
    database.execute(
        "CREATE TABLE captions (captioner TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL, "
        "PRIMARY KEY (captioner, key)) WITHOUT ROWID"
    )
    database.execute("INSERT INTO captions VALUES ('tissue', 'k', 'lung')")
    database.commit()
    database.close()
    with CaptionStore(tmp_path) as store:
        assert store.texts("tissue") == {"k": "lung"}
        store.add("tissue", [Written("q", "fat", ("long",))])
        assert store.flagged("tissue") == {"q": ("long",)}


def test_texts_that_are_put_aside_are_as_if_removed_and_come_back(tmp_path: Path) -> None:
    with CaptionStore(tmp_path, create=True) as store:
        store.add("m", [("a:0", "old"), ("a:1", "old"), ("ab:0", "other")])
        store.put_aside("m", ["a"])
        assert (store.texts("m"), store.captioners()) == ({"ab:0": "other"}, ["m"])
        store.add("m", [("a:0", "new")])
        store.bring_back("m")
        assert store.texts("m") == {"a:0": "old", "a:1": "old", "ab:0": "other"}
        store.put_aside("m", ["a"])
        store.forget_aside("m")
        store.bring_back("m")
        assert store.texts("m") == {"ab:0": "other"}
