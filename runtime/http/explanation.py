"""Why batches leave when they do: what `/debug/batching` answers, and `bundle batching` shows.

Every API process forms batches and learns from them by itself, so every process explains itself; whoever
is asked collects the others (`peers`).
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

import msgspec

from ... import __version__
from ...errors import InvalidInputError

if TYPE_CHECKING:
    from .serving import Serving
    from .state import ServerState

_encode = msgspec.json.Encoder().encode


def of_process(state: ServerState) -> dict[str, Any]:
    """What the dispatchers of this process tell, in seconds and rows."""
    return {
        "process": state.metrics.process,
        "pid": os.getpid(),
        "generation": state.generation,
        "time": time.time(),
        "runners": {name: dispatcher.explain() for name, dispatcher in state.dispatchers.items()},
    }


async def of_server(serving: Serving, process: str = "") -> bytes:
    """The explanations of all API processes as one JSON document.

    Args:
        process: only this one, `api-0`; of both generations while a reload is going on.

    Raises:
        InvalidInputError: no such process.
    """
    state = serving.state
    processes, silent = await everybody(serving)
    if process:
        names = sorted({each["process"] for each in processes})
        processes = [each for each in processes if each["process"] == process]
        if not processes:
            raise InvalidInputError(
                f"no API process {process[:100]!r}; there are {', '.join(names)}", path="process"
            )
    document = {
        "tiffin": __version__,
        "service": state.spec.name,
        "title": state.options.title or state.spec.name,
        "answered_by": state.metrics.process,
        "silent": silent,
        "processes": processes,
    }
    return _encode(document)


async def everybody(serving: Serving) -> tuple[list[dict[str, Any]], list[str]]:
    """The explanations of all API processes, in order, and the names of those that did not answer in time."""
    others, silent = await serving.peers.ask()
    found = [of_process(serving.state)]
    for document in others:
        with contextlib.suppress(msgspec.DecodeError):  # cut off: it ended as it spoke, and tells nothing now
            found.append(msgspec.json.decode(document))
    return sorted(found, key=lambda each: (each["generation"], _place(each["process"]))), silent


def _place(process: str) -> tuple[int, str]:
    """So that `api-10` comes after `api-9`."""
    return len(process), process
