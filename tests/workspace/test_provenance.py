from __future__ import annotations

import json
from pathlib import Path

import pytest

from med3dinsight import __version__
from med3dinsight.errors import WorkspaceError
from med3dinsight.workspace.provenance import (
    RECORD,
    NotDone,
    StageRecord,
    completed,
    fingerprint,
    look_only,
    read_record,
    write_record,
)


def test_a_fingerprint_depends_on_values_and_not_on_the_order_of_keys() -> None:
    assert fingerprint("prepare", 1, {"a": 1, "b": [2]}) == fingerprint("prepare", 1, {"b": [2], "a": 1})
    kinds = [("prepare", 1), ("prepare", 2), ("prepare", "1"), ("prepare", [1]), ("prepare1",), ("prepare", 1, None)]
    assert len({fingerprint(*parts) for parts in kinds}) == len(kinds)


def test_a_fingerprint_stays_the_same_over_versions_of_python_and_machines() -> None:
    assert fingerprint("prepare", 1, {"size": 128}) == "983f0f8354657caba5ea1ff160deeaac"


def test_a_fingerprint_refuses_what_has_no_value() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        fingerprint(float("nan"))


def test_a_record_comes_back_as_written(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    record = StageRecord("embed", "abc", {"towers": "minilm-lite"}, {"slices": 12}, 3.5)
    write_record(tmp_path / "features", record)
    assert read_record(tmp_path / "features") == record
    assert record.version == __version__


def test_only_the_same_fingerprint_counts_as_complete(tmp_path: Path) -> None:
    record = StageRecord("embed", "abc", {}, {}, 0.0)
    assert completed(tmp_path, "abc") is None
    write_record(tmp_path, record)
    assert completed(tmp_path, "abc") == record
    assert completed(tmp_path, "abd") is None


def test_looking_raises_instead_of_letting_a_stage_work(tmp_path: Path) -> None:
    write_record(tmp_path, StageRecord("embed", "abc", {}, {}, 0.0))
    with look_only():
        assert completed(tmp_path, "abc") is not None
        with pytest.raises(NotDone):
            completed(tmp_path, "other")
    assert completed(tmp_path, "other") is None


def test_a_damaged_record_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text("{")
    with pytest.raises(WorkspaceError, match="is damaged"):
        read_record(tmp_path)


def test_a_record_of_a_newer_version_with_more_fields_can_be_read(tmp_path: Path) -> None:
    write_record(tmp_path, StageRecord("embed", "abc", {}, {}, 0.0))
    content = json.loads((tmp_path / RECORD).read_text())
    (tmp_path / RECORD).write_text(json.dumps({**content, "host": "later"}))
    record = read_record(tmp_path)
    assert record is not None
    assert record.fingerprint == "abc"
