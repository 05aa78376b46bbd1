from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.errors import DiskFullError
from med3dinsight.workspace.feature_memo import KEY_BYTES, FeatureMemo, content_key


def feature(number: int) -> np.ndarray[tuple[int], np.dtype[np.float16]]:
    """A feature that tells its number."""
    return np.full(3, number, dtype=np.float16)


def test_features_come_back_by_content_however_many_are_asked_for(tmp_path: Path) -> None:
    """More than fit into one question."""
    keys = [content_key(str(number).encode()) for number in range(1300)]
    with FeatureMemo(tmp_path, "towers") as memo:
        memo.add("image", {key: feature(number) for number, key in enumerate(keys[:1200])})
    with FeatureMemo(tmp_path, "towers") as memo:
        found = memo.find("image", keys)
    assert set(found) == set(keys[:1200])
    assert all((found[key] == feature(number)).all() for number, key in enumerate(keys[:1200]))


def test_pictures_and_texts_and_other_towers_are_apart(tmp_path: Path) -> None:
    key = content_key(b"the same")
    with FeatureMemo(tmp_path, "one") as one, FeatureMemo(tmp_path, "other") as other:
        one.add("image", {key: feature(1)})
        assert not one.find("text", [key])
        assert not other.find("image", [key])


def test_what_is_there_is_never_changed(tmp_path: Path) -> None:
    key, ref = content_key(b"picture"), content_key(b"slice")
    with FeatureMemo(tmp_path, "towers") as memo, FeatureMemo(tmp_path, "towers") as rival:
        memo.add("image", {key: feature(1)}, {ref: key})
        rival.add("image", {key: feature(2)}, {ref: content_key(b"another picture")})
        assert (rival.find("image", [key])[key] == feature(1)).all()
        assert rival.pictures_of([ref]) == {ref: key}


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_different_contents_have_different_keys(one: list[bytes], other: list[bytes]) -> None:
    assert (content_key(*one) == content_key(*other)) == (one == other)
    assert len(content_key(*one)) == KEY_BYTES


def test_a_full_disk_is_told_and_what_was_added_stays(tmp_path: Path) -> None:
    key = content_key(b"kept")
    with FeatureMemo(tmp_path, "towers") as memo:
        memo.add("image", {key: feature(1)})
        pages = memo._database.execute("PRAGMA page_count").fetchone()[0]
        memo._database.execute(f"PRAGMA max_page_count = {pages}")
        large = {content_key(bytes([number])): np.zeros(2000, dtype=np.float16) for number in range(50)}
        with pytest.raises(DiskFullError):
            memo.add("image", large)
        assert not memo.find("image", large)
        assert key in memo.find("image", [key])
    assert sqlite3.connect(tmp_path / "memo.sqlite").execute("PRAGMA integrity_check").fetchone() == ("ok",)
