"""Messages with arrays come back as they were sent."""

from __future__ import annotations

import threading
from multiprocessing import Pipe

import numpy as np
import pytest

from med3dinsight.engines.array_messages import receive_with_arrays, send_with_arrays


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (0, 3), (3, 4, 5), (200, 200, 60)])
def test_arrays_of_any_size_and_order_arrive(shape: tuple[int, ...], order: str) -> None:
    here, there = Pipe()
    array = np.asarray(np.random.default_rng(0).integers(0, 256, shape), dtype=np.uint8, order=order)
    message = ("result", {"voxels": array, "label": None, "name": "case", "bytes": b"x" * 300_000, "strided": array.T})
    sender = threading.Thread(target=send_with_arrays, args=(there, message))
    sender.start()
    kind, content = receive_with_arrays(here)
    sender.join()
    assert kind == "result"
    np.testing.assert_array_equal(content["voxels"], array)
    np.testing.assert_array_equal(content["strided"], array.T)
    assert content["voxels"].dtype == np.uint8
    assert (content["label"], content["name"], content["bytes"]) == (None, "case", b"x" * 300_000)


def test_an_end_that_is_gone_is_an_end_of_file() -> None:
    here, there = Pipe()
    there.close()
    with pytest.raises(EOFError):
        receive_with_arrays(here)
