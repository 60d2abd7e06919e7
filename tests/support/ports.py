"""Ports that must be known before the server that listens there is started."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A free port of this address that nobody else is given meanwhile.

    It is bound, and nobody listens: no connection that goes out and no port 0 gets it, while a server that
    names it may listen there, since both ends say SO_REUSEADDR (socket(7)).
    """
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind((host, 0))
        yield int(kept.getsockname()[1])
