from __future__ import annotations

from pathlib import Path

import pytest

from med3dinsight.errors import WorkspaceError
from med3dinsight.workspace.answer_ledger import Answer, AnswerLedger, Paid
from med3dinsight.workspace.answer_merge import merge_answers


def answered(ledger: AnswerLedger, key: str, text: str, *prints: str) -> None:
    ledger.settle(0, key, Paid(f"raw {text}", "m", 1, 2, 100), Answer("answered", text, ("long",)), prints).result()


def test_a_shard_brings_answers_replies_slices_and_what_may_have_been_paid(tmp_path: Path) -> None:
    with AnswerLedger(tmp_path, create=True) as ledger, AnswerLedger(tmp_path / "1", create=True) as shard:
        answered(ledger, "both", "first", "p1")
        answered(shard, "both", "second", "p2")
        answered(shard, "new", "third", "p3")
        shard.settle(0, "bad", Paid("unreadable", cost=7), None).result()
        shard.reserve("open", 50).result()
        shard.close()
        assert merge_answers(ledger, tmp_path / "1").result()
        found = ledger.find(["p1", "p2", "p3"])
        assert {name: answer.text for name, answer in found.items()} == {"p1": "first", "p2": "first", "p3": "third"}
        assert found["p3"].flags == ("long",)
        assert ledger.raw("both") == ["raw first", "raw second"]
        assert ledger.num_attempts("bad") == 1
        assert (ledger.spent(), ledger.num_open()) == (357, 1)


def test_merging_twice_counts_once_and_two_shards_are_two(tmp_path: Path) -> None:
    with AnswerLedger(tmp_path, create=True) as ledger:
        for name in ("1", "2"):
            with AnswerLedger(tmp_path / name, create=True) as shard:
                answered(shard, name, name, name)
        assert merge_answers(ledger, tmp_path / "1").result()
        assert not merge_answers(ledger, tmp_path / "1").result()
        assert merge_answers(ledger, tmp_path / "2").result()
        assert ledger.spent() == 200
        assert set(ledger.find(["1", "2"])) == {"1", "2"}
    with AnswerLedger(tmp_path) as ledger:
        assert not merge_answers(ledger, tmp_path / "2").result()


def test_a_shard_without_a_ledger_is_an_error(tmp_path: Path) -> None:
    with AnswerLedger(tmp_path, create=True) as ledger, pytest.raises(WorkspaceError, match="no answers"):
        merge_answers(ledger, tmp_path / "none")
