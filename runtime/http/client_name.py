"""Who asks, as the log names it."""

from __future__ import annotations

from typing import Any


def client_name(address: Any) -> str:
    """`10.0.0.7:5123`; `local` for who came by a Unix socket.

    Args:
        address: host and port, as ASGI and sockets give them; else none.
    """
    return "{}:{}".format(*address[:2]) if isinstance(address, (tuple, list)) and address else "local"
