"""Live, ready, and the readiness of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ...http.state import ServerState
    from ..endpoint import Endpoint

READY, LOADING, UNLOADING, UNAVAILABLE = "READY", "LOADING", "UNLOADING", "UNAVAILABLE"


class Readiness(NamedTuple):
    state: str
    """`READY`, `LOADING`: its workers are not warm yet, `UNLOADING`: the server stops, `UNAVAILABLE`."""
    reason: str = ""

    @property
    def ready(self) -> bool:
        return self.state == READY


def server_live() -> dict[str, Any]:
    return {"live": True}


def server_readiness(state: ServerState) -> Readiness:
    """Whether this server should be given traffic: as `/readyz` says it."""
    unstaffed = [name for name, dispatcher in state.dispatchers.items() if not dispatcher.workers]
    return _readiness(state, unstaffed)


def model_readiness(state: ServerState, endpoint: Endpoint) -> Readiness:
    """An api may call every runner of its service; a runner's method needs its own workers only."""
    if endpoint.runner is None:
        return server_readiness(state)
    dispatcher = state.dispatchers.get(endpoint.runner.name)
    staffed = dispatcher is not None and dispatcher.workers
    return _readiness(state, [] if staffed else [endpoint.runner.name], alone=True)


def _readiness(state: ServerState, unstaffed: list[str], *, alone: bool = False) -> Readiness:
    if state.draining:
        return Readiness(UNLOADING, "the server is stopping")
    if unstaffed:
        named = ", ".join(repr(name) for name in unstaffed)
        many = "s" if len(unstaffed) > 1 else ""
        reason = f"runner{many} {named} {'have' if many else 'has'} no worker"
        return Readiness(UNAVAILABLE if state.ready or alone else LOADING, reason)
    if not state.ready and not alone:
        return Readiness(LOADING, "not every worker is warm yet")
    return Readiness(READY)
