"""Whether this process should be given traffic, and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from .state import ServerState

_encode = msgspec.json.Encoder().encode


def health(state: ServerState) -> tuple[bool, bytes]:
    """Ready or not, and a JSON document with the reasons and the load of each runner."""
    reasons = []
    if not state.ready:
        reasons.append("the server is stopping" if state.draining else "not every worker is warm yet")
        reasons += [
            f"runner {name!r} has no worker"
            for name, dispatcher in state.dispatchers.items()
            if not dispatcher.workers and not state.draining
        ]
    document: dict[str, Any] = {
        "live": True,
        "ready": not reasons,
        "reasons": reasons,
        "service": state.spec.name,
        "generation": state.generation,
        "in_flight": state.in_flight,
        "runners": {
            name: {
                "workers": dispatcher.workers,
                "queue_rows": dispatcher.queue_rows,
                "in_flight": dispatcher.in_flight,
            }
            for name, dispatcher in state.dispatchers.items()
        },
    }
    return not reasons, _encode(document)
