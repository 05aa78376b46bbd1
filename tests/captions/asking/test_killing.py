"""Asking that is killed at many moments: whatever was on the disk is never asked again, and the books agree."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from faulty_model import PRICE, Books, FaultyModel, ask, text_of

from med3dinsight.workspace.answer_ledger import NANO, AnswerLedger

SLICES, CONCURRENCY, BUDGET_USD = 4000, 8, 400.0
#: What the child does: each request that is paid for goes to a file that outlives it, at the moment it is paid.
ASKS = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2] / "plugins")!r})
import faulty_model as plugin
folder = Path(sys.argv[1])
paid = os.open(folder / "paid.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
class Model(plugin.FaultyModel):
    def _answer(self, key, body):
        before = self.paid
        try:
            return super()._answer(key, body)
        finally:
            if self.paid > before:
                os.write(paid, f"{{key}} {{self.paid - before}}\\n".encode())
model = Model(faults=0.2, seconds=0.02, seed=int(sys.argv[2]))
books = plugin.Books()
print("asking")
plugin.ask(folder, model, books.jobs({SLICES}), books, concurrency={CONCURRENCY}, budget_usd={BUDGET_USD},
           price=plugin.PRICE)
print("done")
"""


def read_paid(folder: Path) -> tuple[list[str], int]:
    """Returns the keys in the order they were paid for, and the sum."""
    rows = [line.split() for line in (folder / "paid.txt").read_text().splitlines()]
    return [key for key, _ in rows], sum(int(cost) for _, cost in rows)


def moments(number: int) -> Iterator[float]:
    """Seconds after which a child is killed: from before the first request on."""
    generator = random.Random(number)
    return (generator.choice([generator.uniform(0, 0.05), generator.uniform(0, 0.35)]) for _ in count())


def kill_while_asking(folder: Path, seed: int, seconds: float) -> bool:
    """Runs the child and kills it; False where it was done before."""
    process = subprocess.Popen([sys.executable, "-uc", ASKS, folder, str(seed)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "asking\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    done = "done" in process.stdout.read()
    process.wait()
    process.stdout.close()
    return not done


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_what_was_on_the_disk_at_a_kill_is_never_asked_again_and_the_budget_holds(tmp_path: Path, kills: int) -> None:
    settled: set[str] = set()
    seen = killed = 0
    for seed, seconds in zip(range(kills), moments(kills), strict=False):
        killed += kill_while_asking(tmp_path, seed, seconds)
        keys, paid = read_paid(tmp_path)
        assert not settled & set(keys[seen:]), "an answer that was on the disk was bought again"
        seen = len(keys)
        with AnswerLedger(tmp_path) as ledger:
            assert paid <= ledger.spent() <= BUDGET_USD * NANO
            settled = {key for key in set(keys) if ledger.answer(key) is not None}
            in_doubt = Counter(key for (key,) in ledger._reader.execute("SELECT key FROM reservations"))
            kept = sum(ledger.num_attempts(key) for key in set(keys))
        # A reply is in the ledger, or its request was under way at a kill or at a fault that said so.
        assert len(keys) - kept <= in_doubt.total()
    assert killed > 0.8 * kills, "too fast to be killed; ask about more slices"
    finish(tmp_path, settled)


def finish(folder: Path, settled: set[str]) -> None:
    """A run that is left alone answers what is left, and only that."""
    model, books = FaultyModel(), Books()
    asked = ask(folder, model, books.jobs(SLICES), books, price=PRICE)
    assert (asked.left, len(books.texts), set(books.delivered.values())) == (0, SLICES, {1})
    assert not settled & set(model.asked)
    assert model.asked.total() <= SLICES - len(settled)
    bodies = dict(books.texts)
    assert all(text in ("", text_of({"messages": [{"content": f"slice {key[1:]}"}]})) for key, text in bodies.items())
    again = FaultyModel()
    assert ask(folder, again, books.jobs(SLICES), books, price=PRICE).cached == SLICES
    assert not again.asked
