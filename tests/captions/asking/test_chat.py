from __future__ import annotations

from med3dinsight.captions.asking.chat import BusyError, DownError, FatalError, RefusedError
from med3dinsight.errors import Med3DInsightError, UserError


def test_only_what_ends_the_run_is_an_error_of_the_user() -> None:
    assert FatalError("no key", "set it").exit_code == 2
    for failure in (BusyError("429", 2.5), DownError("503"), RefusedError("400")):
        assert isinstance(failure, Med3DInsightError)
        assert not isinstance(failure, UserError)


def test_a_busy_server_tells_how_long_and_a_broken_connection_may_have_cost() -> None:
    assert BusyError("429", 2.5).retry_after == 2.5
    assert BusyError("429").retry_after is None
    assert DownError("cut").maybe_paid
    assert not DownError("no connection", maybe_paid=False).maybe_paid
