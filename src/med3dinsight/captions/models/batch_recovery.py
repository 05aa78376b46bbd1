"""What waits in batch files, looked over before anything is asked: after a kill, or where files were given up."""

from __future__ import annotations

from pathlib import Path

from ...workspace.answer_ledger import AnswerLedger
from .batch_ids import NAME, BatchIds, BatchRequest


def recover(ids: BatchIds, ledger: AnswerLedger, folder: Path) -> None:
    """After a kill: a file that became whole counts; of one that did not, nothing was sent.

    Args:
        ids: Of the folder.
        ledger: Of answers.
        folder: Of request files.
    """
    lost: list[BatchRequest] = []
    for request in ids.drafts():
        if (folder / request.file).exists():
            ids.publish(request.file)
        else:
            lost.append(request)
    # By their keys: the kill may have come before the ids learned the numbers of the reservations.
    ledger.withdraw([request.key for request in lost], paid=False).result()
    ids.close_requests(lost)
    if ledger.waiting_places().get(folder.name, 0) != ids.num_open():
        _reconcile(ids, ledger, folder.name)


def _reconcile(ids: BatchIds, ledger: AnswerLedger, place: str) -> None:
    """Where the file of ids was moved away, no answer finds back; ledgers of version 1 do not know what waits."""
    waiting = {key for key, where in ledger.waiting_keys().items() if where == place}
    ledger.withdraw([key for key in waiting if not ids.is_open(key)], paid=True).result()
    unknown = [request for request in ids.open() if request.key not in waiting]
    ledger.adopt(place, [(one.key, one.reservation, ids.prints(one.key)) for one in unknown]).result()


def recover_all(ledger: AnswerLedger, asked: Path) -> None:
    """Does so for all folders; questions of a folder that is gone are given up, and may have been paid for.

    Args:
        ledger: Of answers.
        asked: The workspace's ``asked`` folder.
    """
    folders = {path.parent.name for path in asked.glob(f"*/{NAME}")}
    # First, so that the questions of a folder that has another name now wait there.
    gone = ledger.waiting_places().keys() - folders
    if gone:
        ledger.withdraw([key for key, place in ledger.waiting_keys().items() if place in gone], paid=True).result()
    for name in sorted(folders):
        with BatchIds(asked / name) as ids:
            recover(ids, ledger, asked / name)
