"""Messages with large arrays between processes: the arrays' bytes go through the pipe as they are, not into a pickle.

A volume that is pickled is copied six times on its way; so it is copied twice.
"""

from __future__ import annotations

import pickle
from multiprocessing.connection import Connection
from typing import Any


def send_with_arrays(connection: Connection, message: Any) -> None:
    """Sends a message; the other side receives it by :func:`receive_with_arrays`."""
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    raw = [buffer.raw() for buffer in buffers]
    connection.send_bytes(pickle.dumps((content, [part.nbytes for part in raw])))
    for part in raw:
        if part.nbytes:
            connection.send_bytes(part)


def receive_with_arrays(connection: Connection) -> Any:
    """Receives a message.

    Raises:
        EOFError: The other side is gone.
    """
    content, sizes = pickle.loads(connection.recv_bytes())
    buffers = [bytearray(size) for size in sizes]
    for buffer in buffers:
        if buffer:
            connection.recv_bytes_into(buffer)
    return pickle.loads(content, buffers=buffers)
